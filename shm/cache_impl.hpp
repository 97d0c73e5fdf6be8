// The cache as one process sees it: its mapping, its options, and the steps that the public face is made of.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "shm/cache.hpp"
#include "shm/counters.hpp"
#include "shm/key_table.hpp"
#include "shm/leases.hpp"
#include "shm/lookup.hpp"
#include "shm/mapping.hpp"
#include "shm/shard.hpp"
#include "shm/source_sync.hpp"

namespace larder::detail {

/// One mapped segment with what works on it. Lives as long as the cache: threads may still be in it after a
/// replacement.
struct Attached {
    explicit Attached(shm::Mapping& mapping_)
        : mapping(mapping_), view(mapping_.view()), lookup(view), keys(view), leases(view), fences(view), sync(view) {}

    shm::Mapping& mapping;
    const shm::SegmentView& view;
    const shm::Lookup lookup;
    shm::KeyTable keys;
    const shm::Leases leases;
    shm::Fences fences;
    const shm::SourceSync sync;
    Attached* next = nullptr;  // attached before
};

/// Durations from outside, without overflow: below 0 counts as 0, above a century as a century.
inline std::int64_t to_ns(std::chrono::milliseconds duration) {
    return std::clamp<std::int64_t>(duration.count(), 0, 100LL * 366 * 24 * 3600 * 1000) * 1'000'000;
}

/// The record may be given to the caller: live, stale or negative.
inline bool is_hit(shm::Verdict verdict) { return verdict <= shm::Verdict::negative; }

/// Lets go of what a lookup found, whatever happens meanwhile.
class HeldLook {
public:
    explicit HeldLook(const shm::Look& look) : look_(look) {}
    ~HeldLook() { shm::release(look_); }
    HeldLook(const HeldLook&) = delete;
    HeldLook& operator=(const HeldLook&) = delete;
    shm::Look& operator*() { return look_; }
    shm::Look* operator->() { return &look_; }

private:
    shm::Look look_;
};

/// What one operation works with.
struct Context {
    Attached* attached = nullptr;
    shm::ThreadBlock* block = nullptr;
    std::int64_t now_ns = 0;

    const shm::SegmentView& view() const { return attached->view; }
    void count(shm::Counter counter, std::uint64_t n = 1) const { shm::count(block, view().header(), counter, n); }
    shm::HashedKey hashed(std::string_view key) const { return {shm::hash_of(key, view().header().hash_seed), key}; }
    std::uint32_t shard_of(const shm::HashedKey& key) const { return shm::shard_of(key.hash, view().geometry->shards); }
};

class CacheImpl : public std::enable_shared_from_this<CacheImpl> {
public:
    explicit CacheImpl(const Options& options);
    ~CacheImpl();

    Pinned get(std::string_view key);
    Pinned peek(std::string_view key);
    Pinned find_present(std::string_view key, bool counted);

    Stamp stamp();
    SyncStart begin_sync();
    void synced(const SyncStart& begun, std::uint64_t position);
    void mark_position(const Stamp& seen, std::uint64_t position);
    bool is_current_at(std::uint64_t position, std::string_view key, std::span<const std::string> tags);
    std::optional<SyncState> sync_state() const;
    PutResult put(std::string_view key, std::string_view value, const EntryOptions& options);
    bool touch(std::string_view key, std::chrono::milliseconds ttl);
    bool erase(std::string_view key);
    using Compute = std::function<std::optional<std::string>(EntryOptions&)>;
    Pinned compute_through(std::string_view key, const Compute& compute, const EntryOptions& options, bool counted);
    Begun begin(std::string_view key);
    PutResult fill(Lease& lease, std::string_view value, const EntryOptions& options);
    void end_lease(Lease& lease, shm::LeaseState outcome);

    std::uint64_t invalidate(std::span<const std::string_view> keys);
    std::uint64_t invalidate(shm::FenceKind kind, std::string_view text);

    KeyUse key_use(std::string_view key);
    std::optional<std::chrono::nanoseconds> mean_compute_time();
    void tend();
    const Options& options() const { return options_; }
    const shm::Location* location() const;  ///< null: in_memory
    const shm::SegmentView& view() const { return attached_.load(std::memory_order_acquire)->view; }
    /// The last call went to the segment that the name means now; else attaches to that one and says false.
    bool still_current();

private:
    class Computation;
    using Time64Ref = shm::Time64&;

    /// How far a call may go to open a segment anew. Lookups make none, wait for nobody, and try again only after a
    /// pause of their own, so that they are not in the way of those who may make one.
    struct Reattach {
        bool may_create;
        std::chrono::milliseconds patience;
    };
    static constexpr Reattach kForLookup{false, std::chrono::milliseconds(0)};
    Reattach for_writing() const { return {true, options_.lock_budget}; }
    void attach(const Reattach& how);
    void listen();
    std::int64_t now_ns() const { return clock_ == nullptr ? shm::system::coarse_ns() : clock_->now_ns(); }
    /// False: this process is not attached (a forked child that could not register): everything is a miss.
    [[gnu::always_inline]] bool enter(Context& context) { return enter(context, kForLookup); }
    /// For calls that keep something: they make the segment when there is none.
    bool enter_to_write(Context& context) { return enter(context, for_writing()); }
    [[gnu::always_inline]] bool enter(Context& context, const Reattach& how) {
        Attached* const attached = attached_.load(std::memory_order_acquire);
        context.now_ns = now_ns();
        context.attached = attached;
        context.block = attached->mapping.known_block();
        if (context.block == nullptr && !attached->mapping.ready()) [[unlikely]]
            return false;
        if (attached->mapping.replaced(clock_ == nullptr ? context.now_ns : shm::system::coarse_ns())) [[unlikely]]
            return enter_anew(context, how);
        if (context.block == nullptr) [[unlikely]]
            context.block = attached->mapping.thread_block();
        return true;
    }
    bool enter_anew(Context& context, const Reattach& how);
    bool enter_to_announce(Context& context);
    template <class Announce>
    std::uint64_t announce(const Announce& announce);
    bool was_heard(const Context& context, std::int64_t looked_ns) const;
    Stamp stamp(const Context& context) const;
    Stamp stamp_of_now(const Context& context) const;
    bool is_closed(const Context& context) const;

    shm::Look find(const Context& context, const shm::HashedKey& key) const;
    shm::Look look_up(const Context& context, const shm::HashedKey& key) const;
    void examine(const Context& context, shm::Look& look) const;
    static bool is_intact(const shm::Look& look);
    static void mark_used(const Context& context, shm::Record& record);
    void count_hit(const Context& context, shm::Record& record, bool stale) const;
    Pinned get(const Context& context, std::string_view key) const;
    Pinned get_timed(const Context& context, std::string_view key) const;
    static bool is_sample(const Context& context);
    /// The time, where the lookup is one that is timed; else 0.
    static std::int64_t sample_begin(const Context& context, bool counted);
    static void end_sample(const Context& context, std::int64_t begin_ns);
    Pinned missed(const Context& context, const shm::HashedKey& key, shm::Look& look) const;
    void count_unanswerable(const Context& context) const;
    void count_miss(const Context& context, const shm::HashedKey& key, const shm::Look& look) const;
    Pinned hit(const Context& context, shm::Look& look, bool counted = true) const;
    bool is_key(std::string_view key) const { return !key.empty() && key.size() <= shm::kMaxKeyBytes; }

    PutResult unkept(const Context& context, std::string_view key);
    PutResult store(const Context& context, const shm::HashedKey& key, std::string_view value,
                    const EntryOptions& options, Stamp as_of, const Lease* lease);
    PutResult offer(const Context& context, const shm::HashedKey& key, std::string_view value,
                    const EntryOptions& options, Stamp& as_of, const Lease* lease);
    static std::uint64_t notice_seen(const Context& context, const shm::HashedKey& key, const EntryOptions& options);
    shm::NewRecord record_of(const Context& context, const shm::HashedKey& key, std::string_view value,
                             const EntryOptions& options);
    PutResult publish(const Context& context, const shm::NewRecord& wanted, const Lease* lease);
    void settle(const Context& context, std::string_view key, const Stamp& as_of, PutResult result);
    bool is_foreign(const Context& context, const Stamp& stamp) const;
    double random_share();
    shm::Leases::Acquired take_lease(const Context& context, const shm::HashedKey& key, bool tracked, Lease& lease);
    static void prepare(const shm::HashedKey& key, Lease& lease);
    void hand_out(const Context& context, std::uint32_t slot, std::uint64_t token, Lease& lease) noexcept;
    void tend_if_due(const Context& context, std::uint32_t shards = 1);
    void tend(const Context& context, std::uint32_t shards);
    void watch_suspend(const Context& context);
    template <class Work>
    bool write_in(const Context& context, std::uint32_t shard, std::chrono::nanoseconds budget, const Work& work) const;
    void log(LogLevel level, std::string_view line, std::string_view detail = {}) const noexcept;

    Options options_;  // but for the directory as it was given
    const std::shared_ptr<Clock> clock_;
    std::atomic<Attached*> attached_{nullptr};
    std::atomic<std::uint64_t> random_state_;
    std::atomic<std::int64_t> reattach_at_ns_{0}, lookups_reattach_at_ns_{0};
    std::atomic<std::uint64_t> reattaching_{0};  // process generation of the thread that is at it
    std::atomic<Attached*> segments_{nullptr};   // all that were ever attached; written under reattaching_
    std::array<char, 200> last_problem_{};       // under reattaching_

    struct Listening;
    std::unique_ptr<Listening> listening_;
    friend class larder::Cache;
};

/// Calls work(writer) with the shard's lock held; says afterwards what had to be repaired. False: the lock was not to
/// be had.
template <class Work>
bool CacheImpl::write_in(const Context& context, std::uint32_t shard, std::chrono::nanoseconds budget,
                         const Work& work) const {
    bool rebuilt = false;
    {
        shm::ShardWriter writer(context.view(), context.attached->mapping.registry(), shard, context.block,
                                context.now_ns);
        if (!writer.enter(budget)) return false;
        rebuilt = writer.rebuilt();
        work(writer);
    }
    if (rebuilt)
        log(LogLevel::warning, "a process died while writing to the cache: one shard was emptied, number ",
            std::to_string(shard));
    return true;
}

/// Builds handles.
struct PinAccess {
    static Pinned from(shm::Look& look, State state, Source source) {
        const std::string_view value = look.value;
        const bool copied = look.copy != nullptr;
        void* const hold = copied ? static_cast<void*>(look.copy) : look.cell;
        look = {};
        return Pinned(value, hold, copied, state, source);
    }
    static Pinned own(std::string_view value, State state, Source source);
};

}  // namespace larder::detail

namespace larder {

inline Pinned::Pinned(std::string_view value, void* hold, bool copied, State state, Source source) noexcept
    : data_(value.data()),
      size_(value.size()),
      hold_(hold),
      generation_(shm::process::generation()),
      generation_now_(&shm::process::generation_word()),
      state_(state),
      source_(source),
      copied_(copied) {}

}  // namespace larder
