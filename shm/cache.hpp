// Larder: one cache per host, shared by all its worker processes, without a server in between.
//
// Every process that opens the same cache maps the same segment of shared memory. A hit takes no lock, makes no system
// call and copies nothing; a process that dies at any instruction hurts nobody; a value computed before a change is
// never served after the change was announced (`invalidate*`).
//
//     larder::Cache cache = larder::Cache::open({.name = "pages"});
//     larder::Pinned page = cache.get_or_compute("page:1", [] { return std::optional<std::string>(render()); });
//     send(page.value());
//
// Threads: every member of Cache may be called by any number of threads at once. Forks: a child may go on using the
// Cache that it inherited, it registers itself at its first call; handles and leases taken before the fork read as
// empty in the child. Death: a process may be killed at any instruction. Signals: not async-signal-safe; no
// asynchronous cancellation.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace larder {

namespace detail {
class CacheImpl;
struct Attached;
struct PinAccess;
}  // namespace detail

/// Thrown by Cache::open and by nothing else. `stage` is where it stopped ("options", "directory", "create", "attach",
/// "header", "signature", "namespace", "identity", "registry"), `reason` what was found, `remedy` what to do about it.
struct OpenError : std::runtime_error {
    OpenError(std::string stage, std::string reason, std::string remedy);
    std::string stage, reason, remedy;
};

/// compute threw in another process or thread, and no stale value may stand in for it.
struct ComputeFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// What the cache asks of the world outside; tests and trace replays bring their own.
/// REQUIRES: safe to call from any thread; never goes backwards.
struct Clock {
    virtual ~Clock() = default;
    /// Nanoseconds on a monotonic clock that all processes of the host share.
    virtual std::int64_t now_ns() = 0;
};

/// A change that a client of the invalidation socket has announced, and which is applied; its ok comes next.
struct SocketNotice {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;      ///< 0: of another pid namespace
    std::string_view request;  ///< the line, as it was sent; valid for the call
    std::uint64_t number = 0;  ///< of the notice
};

/// How a cache is opened. Geometry counts only when the cache is made; who attaches to an existing one takes what is
/// there.
struct Options {
    // Which cache.
    std::string name = "default";  ///< [A-Za-z0-9._-]{1,64}
    std::string directory{};       ///< empty: LARDER_DIR, /run/larder, $XDG_RUNTIME_DIR/larder, /dev/shm/larder-UID
    bool create = true;            ///< make it when it is absent; else OpenError
    bool in_memory = false;        ///< a private cache of this process, without files; its memory stays until the end
    std::string role = "worker";   ///< what `larder stat` shows for this process, at most 15 bytes
    std::string identity{};        ///< what the cache serves (a database); empty: any. Another one is an OpenError

    // Geometry of a new cache.
    std::uint64_t size_bytes = 256ULL << 20;  ///< of the whole segment
    std::uint64_t expected_entries = 0;       ///< 0: one per 8 KiB; sizes the directories and the indexes
    std::uint32_t shards = 0;                 ///< power of two; 0: the largest <= expected_entries / 2048, at least 1
    std::uint64_t tracked_keys = 0;  ///< keys with counters of their own, 256 bytes each; 0: a sixteenth of the segment
    std::uint64_t max_entries = 0;   ///< 0: as many as fit
    std::uint64_t max_bytes = 0;     ///< of keys and values; 0: as many as fit

    // Behaviour of a new cache.
    enum class Recency : std::uint8_t { clock, strict } recency = Recency::clock;  ///< strict: LRU exact to the access
    bool huge_pages = true;  ///< in pages of 2 MiB as far as the kernel gives some (Linux 6.1, on tmpfs)

    // Behaviour of this process.
    std::chrono::milliseconds ttl{300'000};          ///< of an entry that names none
    std::chrono::milliseconds negative_ttl{30'000};  ///< of a negative entry that names none
    std::chrono::milliseconds lock_budget{15};       ///< longest wait of a put for a shard's lock, then `busy`
    std::chrono::milliseconds lease_time{10'000};    ///< a computation that takes longer loses its lease
    std::chrono::milliseconds wait_time{10'000};     ///< longest wait for another's computation, then computed here too
    bool verify_checksums = false;                   ///< check value bytes on every read; damage is a miss
    bool listen = false;                             ///< compete for the role of the invalidation socket's listener
    /// The promise about entries that are `backed`: none is served that lacks a change which its source had committed
    /// degraded_after + max_stale ago, whatever fails. 0: there is none, they live by their ttl alone. It is the
    /// segment's: give it to all processes alike (the last that opened it counts; a process without one leaves it).
    std::chrono::milliseconds degraded_after{0};  ///< so long after the last `synced` all is well
    std::chrono::milliseconds max_stale{0};       ///< and so long past it what is there is served all the same
    std::function<void(LogLevel, std::string_view)> log{};        ///< empty: silent. Called outside all locks
    std::function<void(const SocketNotice&)> on_socket_notice{};  ///< while this process listens; by its thread
    std::shared_ptr<Clock> clock{};                               ///< empty: CLOCK_MONOTONIC_COARSE
    std::uint64_t random_seed = 0;                                ///< of jitter and hash seed; 0: from the kernel
};

/// A point in the order of changes, read before a source is read: the value computed from it is dead once something it
/// depends on was invalidated after this point.
struct Stamp {
    std::uint64_t incarnation = 0;  ///< of the segment; a stamp of another one is refused
    std::uint64_t notice = 0;       ///< number of the last notice begun by then
    std::int64_t at_ns = 0;         ///< when it was taken, by the cache's clock; 0: not known
};

/// The beginning of a look at the source, for whoever follows it: taken before the look, given to `synced` after it.
class SyncStart {
public:
    SyncStart() = default;  ///< of no look: `synced` does nothing with it

private:
    friend class detail::CacheImpl;
    explicit SyncStart(const Stamp& stamp) : stamp_(stamp) {}
    Stamp stamp_;
};

/// How the promise about backed entries is kept at the moment.
struct SyncState {
    std::optional<std::chrono::milliseconds> age{};  ///< of the last `synced`; nullopt: there was none yet
    std::chrono::milliseconds degraded_after{0}, max_stale{0};
    bool degraded = false;  ///< the last `synced` is over degraded_after old
};

/// What an entry is allowed to do. Durations of 0 mean the cache's default, or "not at all" for soft_ttl and
/// stale_if_error.
struct EntryOptions {
    std::chrono::milliseconds ttl{0};             ///< dead at now >= insertion + ttl; below 0: over already
    std::chrono::milliseconds soft_ttl{0};        ///< past it: stale, served while one caller recomputes
    std::chrono::milliseconds stale_if_error{0};  ///< past the ttl: served only in place of a failed computation
    std::chrono::milliseconds negative_ttl{0};    ///< of the negative entry that compute's nullopt makes
    /// After a notice the key is computed anew no sooner than this after it was computed last: a storm of notices costs
    /// a few computations, and whoever asks within it waits, at most a second.
    std::chrono::milliseconds recompute_interval{0};
    double jitter = 0.0;              ///< 0..1: up to this share of the ttl is taken off at random
    std::vector<std::string> tags{};  ///< at most 16 of 1..256 bytes
    std::optional<Stamp> as_of{};     ///< of the source's reading; absent: the stamp at the call
    bool negative = false;            ///< "known to be absent"; the value may be empty
    bool tracked = true;  ///< false: no counts of its own, no place in the key table, no part in compute times, nor in
                          ///< what is counted of computations that wait, fail or refresh
    /// Set by a computation that asks a second tier for its value first.
    enum class Tier : std::uint8_t {
        none,
        hit,         ///< it was there, another host had computed it: counted as that, and in no compute time
        unreachable  ///< it was computed here, whoever else does the same: counted
    } tier = Tier::none;
    bool backed = false;  ///< by a source that somebody follows: under the promise, see Options::degraded_after
    /// How far the source was before it was read, in its own numbers: a replica's log position. A value that has not
    /// seen all changes announced by now that it depends on is refused (`fenced`), and one from before the first
    /// `synced` with a position too. 0: what was read is the source itself.
    std::uint64_t source_position = 0;
};

/// A source_position in the numbers of a stream that tells of changes, which are never compared with the source's own.
constexpr std::uint64_t stream_position(std::uint64_t sequence) { return sequence | std::uint64_t{1} << 63; }

/// What became of a put. What was not kept also takes an older value of its key out of sight (but for `older`,
/// `bad_key` and `bad_value`, which change nothing). Where somebody has just unlinked the segment's file by hand, a
/// process that has not noticed may serve such an older value from it for 50 ms more.
enum class PutResult : std::uint8_t {
    stored,
    fenced,      ///< something it depends on was invalidated after as_of, or after what its source had seen
    older,       ///< the entry there was read from its source later
    too_large,   ///< value above a quarter of a shard (or half of its records' memory), more than 16 tags, a tag above
                 ///< 256
    no_space,    ///< nothing more could be evicted within the bound
    rebuilding,  ///< the shard waits for pins of a dead writer's arena
    bad_key,     ///< empty, or above 1024 bytes
    bad_value,   ///< empty and not negative
    busy,        ///< the shard's lock was not to be had within lock_budget
};
std::string_view name_of(PutResult result);

enum class State : std::uint8_t { none, live, stale, negative };
std::string_view name_of(State state);

/// How a get_or_compute came by its answer.
enum class Source : std::uint8_t { none, hit, computed, waited };

/// A value in shared memory that stays as it is until the handle is dropped, with no copy however large it is (an own
/// copy where no pin was free). Movable; dropped by any thread. A dropped Cache does not end it.
class Pinned {
public:
    Pinned() = default;
    Pinned(Pinned&& other) noexcept { take(other); }
    Pinned& operator=(Pinned&& other) noexcept {
        if (this == &other) return *this;
        reset();
        take(other);
        return *this;
    }
    ~Pinned() { drop(); }

    /// There is a value to use: state() is live or stale. A negative entry has none.
    explicit operator bool() const noexcept { return state() == State::live || state() == State::stale; }
    /// The bytes, 16-aligned; empty when there are none, and in a forked child.
    std::string_view value() const noexcept {
        return state() == State::none ? std::string_view() : std::string_view(data_, size_);
    }
    State state() const noexcept { return state_ != State::none && is_of_this_process() ? state_ : State::none; }
    Source source() const noexcept { return source_; }
    /// Drops the handle now.
    void reset() noexcept {
        drop();
        hold_ = nullptr;
        data_ = nullptr;
        size_ = 0;
        state_ = State::none;
    }

private:
    friend struct detail::PinAccess;
    Pinned(std::string_view value, void* hold, bool copied, State state, Source source) noexcept;

    // A forked child has none of its parent's pins: the parent may drop them at any time.
    bool is_of_this_process() const noexcept { return generation_now_->load(std::memory_order_relaxed) == generation_; }
    void drop() noexcept {
        if (hold_ == nullptr) return;
        if (copied_) return drop_copy();
        if (is_of_this_process()) static_cast<std::atomic<std::uint64_t>*>(hold_)->store(0, std::memory_order_release);
    }
    void drop_copy() noexcept;
    void take(Pinned& other) noexcept {
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        hold_ = std::exchange(other.hold_, nullptr);
        generation_ = other.generation_;
        generation_now_ = other.generation_now_;
        state_ = std::exchange(other.state_, State::none);
        source_ = std::exchange(other.source_, Source::none);
        copied_ = other.copied_;
    }

    const char* data_ = nullptr;
    std::uint64_t size_ = 0;
    void* hold_ = nullptr;  // the pin cell that names the record, or an own copy
    std::uint64_t generation_ = 0;
    const std::atomic<std::uint64_t>* generation_now_ = nullptr;
    State state_ = State::none;
    Source source_ = Source::none;
    bool copied_ = false;
};

/// The right to compute one key, for one process on the host at a time. Dropped without fill: abandoned. Movable.
class Lease {
public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();
    explicit operator bool() const noexcept;
    const std::string& key() const noexcept { return key_; }
    /// Taken with the lease: read the source after this.
    Stamp stamp() const noexcept { return stamp_; }

private:
    friend class detail::CacheImpl;
    std::shared_ptr<detail::CacheImpl> cache_;
    detail::Attached* attached_ = nullptr;  // the segment that it is in
    std::string key_;
    Stamp stamp_;
    std::shared_ptr<std::atomic<int>> held_;  // how many the thread that took it holds
    std::uint64_t token_ = 0;                 // 0: none was to be had, the value is put without one
    std::uint64_t generation_ = 0;
    std::uint32_t slot_ = 0;
};

/// What `begin` found.
struct Hit {
    Pinned pinned;
};
struct Busy {
    std::chrono::milliseconds retry_after{10};  ///< another computes this key; ask again, or compute without a lease
};
using Begun = std::variant<Hit, Lease, Busy>;

/// Hits and misses of one key in the running hour and the 23 before.
struct KeyUse {
    std::uint64_t hits = 0, misses = 0;
    bool tracked = false;  ///< the key table holds the key
};

class Cache {
public:
    /// Attaches to the cache, or makes it. Cheap when this process has it open already: one mapping per process and
    /// segment. Throws OpenError.
    static Cache open(const Options& options);

    /// A hit or a counted miss; never waits, takes no lock, makes no system call.
    Pinned get(std::string_view key);
    /// One per key, in their order.
    std::vector<Pinned> get_many(std::span<const std::string_view> keys);
    /// As get, but counts nothing and leaves the LRU order alone.
    Pinned peek(std::string_view key) const;
    bool contains(std::string_view key) const;
    /// As get, but what is not there counts nothing: for event loops, which let another thread call get_or_compute then
    /// (and warm, for what is stale). Not `counted`: a hit counts nothing either, as with warm.
    Pinned find(std::string_view key, bool counted = true);

    /// Take it before the source is read, give it to put as `as_of`.
    Stamp stamp() const;
    PutResult put(std::string_view key, std::string_view value, const EntryOptions& options = {});

    // For the one process that follows the source of backed entries and announces its changes.
    /// Take it before each look at the source.
    SyncStart begin_sync() const;
    /// All that the source had committed when `begun` was taken has been announced. `position` (0: none): a number that
    /// the source gave after the look's snapshot was taken, so that all that was announced before the look lies at it
    /// or below; positions only grow, and where they may not (a restored or another source) invalidate_all() comes
    /// first. After a look that announced something look again at once: until then a replica's values that have seen it
    /// are refused. May be called at any time, late ones too: it never takes back what an earlier call said.
    void synced(const SyncStart& begun, std::uint64_t position = 0);
    /// nullopt: nobody has given this segment a promise.
    std::optional<SyncState> sync_state() const;
    /// The same as `synced` says of its position, for who is told of changes by something that numbers them: whoever
    /// read the source after all up to `position` had been announced to him has seen what the notices up to `seen`
    /// stand for. `position`: stream_position().
    void mark_position(const Stamp& seen, std::uint64_t position);
    /// What was read at that position, with these tags, lacks nothing that was announced here: put with it as
    /// `source_position` it would not be `fenced`.
    bool is_current_at(std::uint64_t position, std::string_view key, std::span<const std::string> tags) const;

    /// Gives a live entry a new ttl; when it becomes stale stays as it is. False: there is none, or its shard was busy.
    bool touch(std::string_view key, std::chrono::milliseconds ttl);
    /// As invalidate of one key; says whether a live entry was there.
    bool erase(std::string_view key);

    /// The value, computed once on the whole host: `compute()` or `compute(EntryOptions&)` (which may add what it
    /// learned from the source: tags, ttl) returns std::optional<std::string>, nullopt for a negative entry; an empty
    /// string is given to the caller and not kept. It runs outside all locks. A thread that holds a lease computes
    /// without waiting for another's. What it throws passes through, unless the entry allows a stale answer; a waiter
    /// gets ComputeFailed then.
    template <class Compute>
    Pinned get_or_compute(std::string_view key, Compute&& compute, const EntryOptions& options = {}) {
        return compute_through(key, erased(compute), options, true);
    }
    /// The same, but counts neither a hit nor a miss: for warming, and for lookups that are not the application's own.
    template <class Compute>
    Pinned warm(std::string_view key, Compute&& compute, const EntryOptions& options = {}) {
        return compute_through(key, erased(compute), options, false);
    }

    /// The same in two steps, for event loops: whoever gets the Lease computes, then fills or abandons it.
    Begun begin(std::string_view key);
    PutResult fill(Lease lease, std::string_view value, const EntryOptions& options = {});
    /// failed: waiters get ComputeFailed (or a stale value) for a second, else the next of them computes.
    void abandon(Lease lease, bool failed = false);

    /// From their return on nobody on the host is served what was cached, or computed from what was read, before.
    /// Lock-free, O(1). Returns the notice's number; 0: the cache was removed and cannot be opened anew.
    std::uint64_t invalidate(std::string_view key);
    std::uint64_t invalidate(std::span<const std::string_view> keys);
    std::uint64_t invalidate(std::initializer_list<std::string_view> keys) {
        return invalidate(std::span<const std::string_view>(keys.begin(), keys.size()));
    }
    std::uint64_t invalidate_tag(std::string_view tag);
    /// All keys `name:...`; `name` without a ':', or with the one at its end.
    std::uint64_t invalidate_namespace(std::string_view name);
    std::uint64_t invalidate_all();

    KeyUse key_use(std::string_view key) const;
    /// Mean time of the computations of all processes; nullopt until there was one.
    std::optional<std::chrono::nanoseconds> mean_compute_time() const;
    /// Housekeeping of one bounded step; puts and listeners do it anyway.
    void tend();
    /// Where the segment and the socket are; empty for an in_memory cache.
    std::string segment_path() const;
    std::string socket_path() const;

private:
    using ComputeFunction = std::function<std::optional<std::string>(EntryOptions&)>;
    explicit Cache(std::shared_ptr<detail::CacheImpl> impl) : impl_(std::move(impl)) {}
    template <class Compute>
    static ComputeFunction erased(Compute& compute) {
        if constexpr (std::is_invocable_v<Compute&, EntryOptions&>)
            return std::ref(compute);
        else
            return [&compute](EntryOptions&) -> std::optional<std::string> { return compute(); };
    }
    Pinned compute_through(std::string_view key, const ComputeFunction& compute, const EntryOptions& options,
                           bool counted);
    std::shared_ptr<detail::CacheImpl> impl_;
};

}  // namespace larder
