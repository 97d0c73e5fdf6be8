#include "shm/cache_impl.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "shm/elapsed.hpp"
#include "shm/geometry.hpp"
#include "shm/histogram.hpp"
#include "shm/process.hpp"
#include "shm/segment.hpp"
#include "shm/socket/cache_sink.hpp"
#include "shm/socket/listener.hpp"
#include "shm/testing.hpp"

namespace larder::detail {
namespace {

constexpr std::int64_t kTendNs = 100'000'000;
constexpr std::int64_t kReattachNs = 50'000'000;
constexpr std::int64_t kSuspendNs = 1'000'000'000;
constexpr std::uint64_t kSampleMask = 1023;  // one lookup of so many is timed

State state_of(shm::Verdict verdict) {
    switch (verdict) {
    case shm::Verdict::live:
        return State::live;
    case shm::Verdict::stale:
        return State::stale;
    case shm::Verdict::negative:
        return State::negative;
    default:
        return State::none;
    }
}

}  // namespace

/// The thread that competes for the listener's role.
struct CacheImpl::Listening {
    explicit Listening(CacheImpl& cache) : sink(cache), thread(options_of(cache), sink) {}
    static shm::ListenerOptions options_of(CacheImpl& cache) {
        shm::ListenerOptions options;
        options.socket_path = cache.location()->socket_path();
        options.lock_path = cache.location()->listen_path();
        options.tick = [&cache] { cache.tend(); };
        options.log = cache.options().log;
        options.on_notice = cache.options().on_socket_notice;
        return options;
    }
    shm::CacheSink sink;
    shm::ListenerThread thread;
};

CacheImpl::CacheImpl(const Options& options)
    : options_(options), clock_(options.clock), random_state_(options.random_seed) {
    for (std::chrono::milliseconds* const time : {&options_.lock_budget, &options_.lease_time, &options_.wait_time})
        *time = std::chrono::milliseconds(to_ns(*time) / 1'000'000);
    attach({options.create, shm::Mapping::kPatience});
    if (location() != nullptr) options_.directory = location()->directory;
    if (options.random_seed == 0) {
        int error = 0;
        random_state_ = shm::system::random_bits(error) | 1;
    }
    if (options.listen && location() != nullptr) listen();
    Context context;
    // No shard: who only reads must not be led into a damaged index.
    if (enter(context)) tend_if_due(context, 0);
}

void CacheImpl::listen() try {
    listening_ = std::make_unique<Listening>(*this);
} catch (const std::system_error& error) {
    throw OpenError("listen", std::string("no thread for the listener: ") + error.what(),
                    "raise the limit of processes (`ulimit -u`), or open the cache without `listen`");
}

CacheImpl::~CacheImpl() {
    listening_.reset();
    for (Attached* one = segments_.load(std::memory_order_acquire); one != nullptr;)
        delete std::exchange(one, one->next);
}

/// Throws OpenError, std::bad_alloc.
void CacheImpl::attach(const Reattach& how) {
    Options options = options_;
    options.create = options.create && how.may_create;
    shm::Mapping* const mapping = shm::Mapping::open(options, &shm::format_owned_arenas, how.patience);
    Attached* one = segments_.load(std::memory_order_acquire);
    while (one != nullptr && &one->mapping != mapping) one = one->next;
    if (one == nullptr) {
        one = new Attached(*mapping);
        if (options_.degraded_after.count() > 0)
            one->sync.promise(to_ns(options_.degraded_after), to_ns(options_.max_stale));
        one->next = segments_.load(std::memory_order_relaxed);
        segments_.store(one, std::memory_order_release);  // the last step: a fork sees all of it or nothing
    }
    attached_.store(one, std::memory_order_release);
}

const shm::Location* CacheImpl::location() const {
    const shm::Mapping& mapping = attached_.load(std::memory_order_acquire)->mapping;
    return mapping.is_in_memory() ? nullptr : &mapping.location();
}

/// The name leads to another segment, or to none. One thread opens it anew, the others miss meanwhile; what cannot be
/// opened now is tried again later.
bool CacheImpl::enter_anew(Context& context, const Reattach& how) {
    const std::int64_t now = shm::system::coarse_ns();
    if (now < reattach_at_ns_.load(std::memory_order_relaxed)) return false;
    if (!how.may_create && now < lookups_reattach_at_ns_.load(std::memory_order_relaxed)) return false;
    const std::uint64_t generation = shm::process::generation();
    std::uint64_t busy =
        reattaching_.load(std::memory_order_relaxed);  // in a forked child its parent's thread is not at it
    if (busy == generation || !reattaching_.compare_exchange_strong(busy, generation)) return false;
    bool attached = false;
    std::array<char, 200> problem{};
    try {
        if (context.attached == attached_.load(std::memory_order_acquire)) attach(how);
        attached = true;
        last_problem_ = {};
    } catch (const std::exception& error) {
        // What is refused to a lookup may be granted to a writer.
        auto& again_at_ns = how.may_create || !options_.create ? reattach_at_ns_ : lookups_reattach_at_ns_;
        again_at_ns.store(shm::system::coarse_ns() + kReattachNs, std::memory_order_relaxed);
        std::strncpy(problem.data(), error.what(), problem.size() - 1);
        const bool is_news = how.may_create && problem != last_problem_;
        if (is_news) last_problem_ = problem;
        if (!is_news) problem[0] = '\0';
    }
    reattaching_.store(0, std::memory_order_release);
    if (problem[0] != '\0') log(LogLevel::warning, "the cache was removed and cannot be opened anew: ", problem.data());
    if (!attached) return false;
    log(LogLevel::info, "the cache's segment was replaced; attached to the new one");
    context.attached = attached_.load(std::memory_order_acquire);
    context.block = context.attached->mapping.thread_block();
    return context.attached->mapping.ready();
}

bool CacheImpl::still_current() {
    const Attached* const before = attached_.load(std::memory_order_acquire);
    before->mapping.look_again();
    Context context;
    return enter(context) && context.attached == before;
}

[[gnu::always_inline]] inline shm::Look CacheImpl::find(const Context& context, const shm::HashedKey& key) const {
    shm::Look look = context.attached->lookup.find(key, context.block, context.now_ns);
    if (options_.verify_checksums || look.copy != nullptr || look.damaged) [[unlikely]]
        examine(context, look);
    return look;
}

/// What few lookups need: the value's checksum, and counters of what should not happen.
void CacheImpl::examine(const Context& context, shm::Look& look) const {
    if (look.copy != nullptr) context.count(shm::Counter::copied_reads);
    if (options_.verify_checksums && look.record != nullptr && !is_intact(look)) {
        shm::release(look);
        look.verdict = shm::Verdict::absent;
        look.damaged = true;
    }
    if (look.damaged) context.count(shm::Counter::damaged_reads);
}

shm::Look CacheImpl::look_up(const Context& context, const shm::HashedKey& key) const { return find(context, key); }

/// Only a negative entry is empty: one that is not negative has lost its flag.
bool CacheImpl::is_intact(const shm::Look& look) {
    const bool has_value = look.verdict == shm::Verdict::live || look.verdict == shm::Verdict::stale;
    return !(has_value && look.value.empty()) && shm::checksum_of(look.value) == look.record->checksum;
}

[[gnu::always_inline]] inline void CacheImpl::mark_used(const Context& context, shm::Record& record) {
    const std::uint64_t stamp = shm::recency_stamp(context.view(), context.now_ns);
    std::uint64_t used = record.last_used.load(std::memory_order_relaxed);
    // Only grows; pinned, so that it is this record's. Bounded: each failure is a later use's success.
    while (used < stamp && !record.last_used.compare_exchange_weak(used, stamp, std::memory_order_relaxed)) {}
}

[[gnu::always_inline]] inline void CacheImpl::count_hit(const Context& context, shm::Record& record, bool stale) const {
    mark_used(context, record);
    context.count(shm::Counter::hits);
    if (stale) [[unlikely]]
        context.count(shm::Counter::stale_hits);
    if (!context.attached->keys.count_hit(record.key_entry, context.attached->mapping.participant(),
                                          shm::hour_of(context.now_ns), record.hour)) [[unlikely]]
        context.count(shm::Counter::untracked_lookups);
}

void CacheImpl::count_miss(const Context& context, const shm::HashedKey& key, const shm::Look& look) const {
    const std::uint32_t entry =
        look.record != nullptr ? look.record->key_entry : context.attached->keys.find(key.hash, context.shard_of(key));
    const auto reason = [&] {
        switch (look.verdict) {
        case shm::Verdict::contended:
            return shm::Counter::misses_contended;
        case shm::Verdict::invalidated:
            return shm::Counter::misses_invalidated;
        case shm::Verdict::absent:
            break;
        default:
            return shm::Counter::misses_expired;
        }
        switch (context.attached->keys.fate(entry)) {
        case shm::Fate::live:
            return shm::Counter::misses_rebuilt;
        case shm::Fate::evicted:
            return shm::Counter::misses_evicted;
        case shm::Fate::expired:
            return shm::Counter::misses_expired;
        case shm::Fate::invalidated:
            return shm::Counter::misses_invalidated;
        default:
            return shm::Counter::misses_cold;
        }
    }();
    context.count(reason);
    if (!context.attached->keys.count_miss(entry, shm::hour_of(context.now_ns)))
        context.count(shm::Counter::untracked_lookups);
}

Pinned CacheImpl::hit(const Context& context, shm::Look& look, bool counted) const {
    if (counted)
        count_hit(context, *look.record, look.verdict == shm::Verdict::stale);
    else
        mark_used(context, *look.record);
    return PinAccess::from(look, state_of(look.verdict), Source::hit);
}

/// A lookup of what can be no key, or by a process that is not attached: a miss all the same.
void CacheImpl::count_unanswerable(const Context& context) const {
    context.count(shm::Counter::misses_cold);
    context.count(shm::Counter::untracked_lookups);
}

Pinned CacheImpl::missed(const Context& context, const shm::HashedKey& key, shm::Look& look) const {
    count_miss(context, key, look);
    shm::release(look);
    return {};
}

[[gnu::always_inline]] inline Pinned CacheImpl::get(const Context& context, std::string_view key) const {
    const shm::HashedKey hashed = context.hashed(key);
    shm::Look look = find(context, hashed);
    if (!is_hit(look.verdict)) [[unlikely]]
        return missed(context, hashed, look);
    count_hit(context, *look.record, look.verdict == shm::Verdict::stale);
    return PinAccess::from(look, state_of(look.verdict), Source::hit);
}

bool CacheImpl::is_sample(const Context& context) {
    return context.block != nullptr &&
           (context.block->counts[0].load(std::memory_order_relaxed) & kSampleMask) == kSampleMask;
}

std::int64_t CacheImpl::sample_begin(const Context& context, bool counted) {
    return counted && is_sample(context) ? shm::system::monotonic_ns() : 0;
}

void CacheImpl::end_sample(const Context& context, std::int64_t begin_ns) {
    if (begin_ns != 0)
        shm::add(context.view().header().lookup_ns, static_cast<std::uint64_t>(shm::system::monotonic_ns() - begin_ns));
}

Pinned CacheImpl::get_timed(const Context& context, std::string_view key) const {
    const std::int64_t begin_ns = shm::system::monotonic_ns();
    Pinned pinned = get(context, key);
    end_sample(context, begin_ns);
    return pinned;
}

Pinned CacheImpl::get(std::string_view key) {
    Context context;
    if (!enter(context) || !is_key(key)) [[unlikely]] {
        count_unanswerable(context);
        return {};
    }
    if (is_sample(context)) [[unlikely]]
        return get_timed(context, key);
    return get(context, key);
}

Pinned CacheImpl::peek(std::string_view key) {
    Context context;
    if (!is_key(key) || !enter(context)) return {};
    shm::Look look = look_up(context, context.hashed(key));
    if (is_hit(look.verdict)) return PinAccess::from(look, state_of(look.verdict), Source::hit);
    shm::release(look);
    return {};
}

Pinned CacheImpl::find_present(std::string_view key, bool counted) {
    Context context;
    if (!is_key(key) || !enter(context)) return {};
    const std::int64_t begin_ns = sample_begin(context, counted);
    shm::Look look = look_up(context, context.hashed(key));
    if (is_hit(look.verdict)) {
        Pinned found = hit(context, look, counted);
        end_sample(context, begin_ns);
        return found;
    }
    shm::release(look);
    return {};
}

/// Somebody may still announce changes to the segment that this one replaced.
bool CacheImpl::is_closed(const Context& context) const {
    return shm::system::coarse_ns() < context.view().header().open_at_ns.load(std::memory_order_relaxed);
}

/// While the segment is closed none that counts: what is read from a source now may have changed by a notice that went
/// to the old one. The look at the time comes first.
Stamp CacheImpl::stamp(const Context& context) const {
    if (is_closed(context)) return {};
    const std::int64_t at_ns = now_ns();
    return {context.view().header().incarnation, context.attached->fences.now(), at_ns};
}

/// For what was read from its source nobody knows when.
Stamp CacheImpl::stamp_of_now(const Context& context) const {
    if (is_closed(context)) return {};
    return {context.view().header().incarnation, context.attached->fences.now()};
}

Stamp CacheImpl::stamp() {
    Context context;
    return enter_to_write(context) ? stamp(context) : Stamp{};
}

SyncStart CacheImpl::begin_sync() {
    Context context;
    if (!enter_to_write(context)) return {};
    return SyncStart({context.view().header().incarnation, context.attached->fences.now(), context.now_ns});
}

/// A look that began in another segment says nothing about this one: what it led to may have been announced there.
void CacheImpl::synced(const SyncStart& begun, std::uint64_t position) {
    Context context;
    if (!enter(context) || begun.stamp_.incarnation != context.view().header().incarnation) return;
    if (position != 0) context.attached->sync.mark(begun.stamp_.notice, position);
    context.attached->sync.advance(begun.stamp_.at_ns);
}

void CacheImpl::mark_position(const Stamp& seen, std::uint64_t position) {
    Context context;
    if (enter(context) && seen.incarnation == context.view().header().incarnation)
        context.attached->sync.mark(seen.notice, position);
}

bool CacheImpl::is_current_at(std::uint64_t position, std::string_view key, std::span<const std::string> tags) {
    Context context;
    if (!enter(context)) return false;
    const std::optional<std::uint64_t> seen = context.attached->sync.notice_seen_at(position);
    return seen && context.attached->fences.highest(key, tags) <= *seen;
}

std::optional<SyncState> CacheImpl::sync_state() const { return shm::SourceSync(view()).state(now_ns()); }

KeyUse CacheImpl::key_use(std::string_view key) {
    Context context;
    if (!enter(context)) return {};
    const shm::HashedKey hashed = context.hashed(key);
    return context.attached->keys.use(hashed.hash, context.shard_of(hashed), context.now_ns);
}

std::optional<std::chrono::nanoseconds> CacheImpl::mean_compute_time() {
    Context context;
    if (!enter(context)) return std::nullopt;
    const shm::HistogramSnapshot times = shm::snapshot(context.view().header().compute_us);
    if (times.count == 0) return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(times.mean() * 1000));
}

/// What the program's log throws, and a lack of memory, must not end what is being done.
void CacheImpl::log(LogLevel level, std::string_view line, std::string_view detail) const noexcept {
    try {
        if (options_.log) options_.log(level, std::string(line).append(detail));
    } catch (...) {
        return;
    }
}

/// One caller of many is given the turn.
void CacheImpl::tend_if_due(const Context& context, std::uint32_t shards) {
    Time64Ref due = context.view().header().tend_due_ns;
    const std::int64_t now = shm::system::coarse_ns();
    std::int64_t at = due.load(std::memory_order_relaxed);
    if (now >= at && due.compare_exchange_strong(at, now + kTendNs, std::memory_order_relaxed)) tend(context, shards);
}

void CacheImpl::tend() {
    Context context;
    if (enter_to_write(context)) tend(context, context.view().geometry->shards);
}

/// Gives back what the dead held. Bounded: 8 slots, 8 lease groups, `shards` shards that nobody is writing to.
void CacheImpl::tend(const Context& context, std::uint32_t shards) {
    watch_suspend(context);
    shm::Mapping& mapping = context.attached->mapping;
    mapping.reap_some(shards > 1 ? shm::kProcesses : 8);
    const shm::SegmentView& view = context.view();
    const std::uint32_t cursor = view.header().tend_cursor.fetch_add(shards, std::memory_order_relaxed);
    context.attached->leases.sweep(cursor * 8 % shm::kLeaseLocks, shards > 1 ? shm::kLeaseLocks : 8,
                                   shm::system::coarse_ns(), [&mapping](const shm::Holder& holder) {
                                       return mapping.registry().dead_for_leases(holder.slot, holder.incarnation);
                                   });
    shm::release_condemned_arenas(view, mapping.registry(), context.block);
    for (std::uint32_t n = 0; n < shards; ++n)
        write_in(context, (cursor + n) % view.geometry->shards, std::chrono::nanoseconds(0),
                 [](shm::ShardWriter& writer) { writer.tend(); });
}

/// While the machine was suspended no monotonic clock ran: whatever is cached may be older than it says. Announced
/// before it is marked as seen: who is killed between the two leaves it to the next, which announces again.
void CacheImpl::watch_suspend(const Context& context) {
    Time64Ref suspended = context.view().header().suspended_ns;
    // In this order: a process stopped between the two sees too little, and looks again.
    const std::int64_t boottime_ns = shm::system::boottime_ns();
    const std::int64_t now = boottime_ns - shm::system::monotonic_ns();
    std::int64_t was = suspended.load(std::memory_order_relaxed);
    if (shm::elapsed_ns(was, now) <= kSuspendNs) return;
    context.attached->fences.announce(shm::FenceKind::everything, {});
    suspended.compare_exchange_strong(was, now, std::memory_order_relaxed);
}

}  // namespace larder::detail
