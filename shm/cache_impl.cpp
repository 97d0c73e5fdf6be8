#include "shm/cache_impl.hpp"

#include <algorithm>
#include <limits>

#include "shm/histogram.hpp"
#include "shm/process.hpp"
#include "shm/socket/cache_sink.hpp"
#include "shm/socket/listener.hpp"
#include "shm/testing.hpp"

namespace larder::detail {
namespace {

constexpr std::int64_t kTendNs = 100'000'000;
constexpr std::int64_t kReattachNs = 50'000'000;
constexpr std::uint32_t kAnnounceTries = 200;
constexpr std::int64_t kAnnounceRetryNs = 5'000'000;
constexpr std::int64_t kSuspendNs = 1'000'000'000;
constexpr std::uint32_t kSlices = 4096;      // of one put: holdings of the lock to correct recency stamps
constexpr std::uint64_t kSampleMask = 1023;  // one lookup of so many is timed
constexpr std::int64_t kForeverNs = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLongestMs = 100LL * 366 * 24 * 3600 * 1000;

std::int64_t to_ns(std::chrono::milliseconds duration) {
    return std::clamp<std::int64_t>(duration.count(), 0, kLongestMs) * 1'000'000;
}

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

bool is_hit(shm::Verdict verdict) { return verdict <= shm::Verdict::negative; }

std::uint32_t first_seconds(std::int64_t now_ns) { return static_cast<std::uint32_t>(now_ns / 1'000'000'000); }

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
        return options;
    }
    shm::CacheSink sink;
    shm::ListenerThread thread;
};

CacheImpl::CacheImpl(const Options& options)
    : options_(options), clock_(options.clock), random_state_(options.random_seed) {
    attach();
    if (options.random_seed == 0) {
        int error = 0;
        random_state_ = shm::system::random_bits(error) | 1;
    }
    if (options.listen && location() != nullptr) listening_ = std::make_unique<Listening>(*this);
}

CacheImpl::~CacheImpl() = default;

void CacheImpl::attach() {
    shm::Mapping* const mapping = shm::Mapping::open(options_, &shm::format_owned_arenas);
    segments_.push_back(std::make_unique<Attached>(*mapping));
    attached_.store(segments_.back().get(), std::memory_order_release);
}

const shm::Location* CacheImpl::location() const {
    const shm::Mapping& mapping = attached_.load(std::memory_order_acquire)->mapping;
    return mapping.is_in_memory() ? nullptr : &mapping.location();
}

/// The name leads to another segment, or to none. One thread opens it anew, the others miss meanwhile; what cannot be
/// opened now is tried again later.
bool CacheImpl::enter_anew(Context& context) {
    const std::int64_t now = shm::system::coarse_ns();
    if (now < reattach_at_ns_.load(std::memory_order_relaxed)) return false;
    const std::uint64_t generation = shm::process::generation();
    std::uint64_t busy =
        reattaching_.load(std::memory_order_relaxed);  // in a forked child its parent's thread is not at it
    if (busy == generation || !reattaching_.compare_exchange_strong(busy, generation)) return false;
    bool attached = false;
    try {
        if (context.attached == attached_.load(std::memory_order_acquire)) attach();
        attached = true;
    } catch (const OpenError& error) {
        reattach_at_ns_.store(now + kReattachNs, std::memory_order_relaxed);
        log(LogLevel::warning, std::string("the cache was removed and cannot be opened anew: ") + error.what());
    }
    reattaching_.store(0, std::memory_order_release);
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

bool CacheImpl::is_intact(const shm::Look& look) {
    return shm::checksum_of(shm::value_of(*look.record)) == look.record->checksum;
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

Pinned CacheImpl::get_timed(const Context& context, std::string_view key) const {
    const std::int64_t started_ns = shm::system::monotonic_ns();
    Pinned pinned = get(context, key);
    shm::add(context.view().header().lookup_ns, static_cast<std::uint64_t>(shm::system::monotonic_ns() - started_ns));
    return pinned;
}

Pinned CacheImpl::get(std::string_view key) {
    Context context;
    if (!is_key(key) || !enter(context)) [[unlikely]]
        return {};
    const bool timed = context.block != nullptr &&
                       (context.block->counts[0].load(std::memory_order_relaxed) & kSampleMask) == kSampleMask;
    if (timed) [[unlikely]]
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

Stamp CacheImpl::stamp() {
    Context context;
    if (!enter(context)) return {};
    return {context.view().header().incarnation, context.attached->fences.now()};
}

PutResult CacheImpl::put(std::string_view key, std::string_view value, const EntryOptions& options) {
    Context context;
    if (!is_key(key)) return PutResult::bad_key;
    if (!enter(context)) return PutResult::busy;
    const Stamp now{context.view().header().incarnation, context.attached->fences.now()};
    const PutResult result = store(context, context.hashed(key), value, options, options.as_of.value_or(now), nullptr);
    tend_if_due(context);
    return result;
}

/// `lease`: publish only while it is current, and then what is fenced too. Counts, and makes sure that an older value
/// is not served in place of one that could not be kept.
PutResult CacheImpl::store(const Context& context, const shm::HashedKey& key, std::string_view value,
                           const EntryOptions& options, Stamp as_of, const Lease* lease) {
    const PutResult result = offer(context, key, value, options, as_of, lease);
    settle(context, key.text, as_of, result);
    return result;
}

PutResult CacheImpl::offer(const Context& context, const shm::HashedKey& key, std::string_view value,
                           const EntryOptions& options, Stamp as_of, const Lease* lease) {
    if (value.empty() && !options.negative) return PutResult::bad_value;
    if (is_foreign(context, as_of)) return PutResult::fenced;

    shm::NewRecord wanted;
    wanted.key = key;
    wanted.value = value;
    wanted.tags = options.tags;
    wanted.as_of = as_of.notice;
    std::int64_t ttl_ns = to_ns(options.ttl);
    if (ttl_ns == 0) ttl_ns = to_ns(options.negative ? options_.negative_ttl : options_.ttl);
    if (options.jitter > 0)
        ttl_ns -=
            static_cast<std::int64_t>(static_cast<double>(ttl_ns) * std::min(options.jitter, 1.0) * random_share());
    wanted.expires_ns = context.now_ns + std::max<std::int64_t>(ttl_ns, 1);
    wanted.soft_expires_ns = options.soft_ttl.count() > 0 ? context.now_ns + to_ns(options.soft_ttl) : kForeverNs;
    wanted.stale_if_error_ms = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(options.stale_if_error.count(), 0, std::numeric_limits<std::uint32_t>::max()));
    if (options.negative) wanted.flags = shm::kNegative;
    wanted.for_waiters = lease != nullptr && lease->token_ != 0;
    wanted.tracked = options.tracked;

    const bool tags_fit = options.tags.size() <= shm::kMaxTags &&
                          std::all_of(options.tags.begin(), options.tags.end(), [](const std::string& tag) {
                              return !tag.empty() && tag.size() <= shm::kMaxTagBytes;
                          });
    PutResult result = PutResult::too_large;
    if (tags_fit && value.size() <= context.view().geometry->arena_bytes / 4) {
        wanted.checksum = shm::checksum_of(value);
        result = publish(context, wanted, lease);
    }
    return result;
}

PutResult CacheImpl::publish(const Context& context, const shm::NewRecord& wanted, const Lease* lease) {
    if (context.now_ns < context.view().header().open_at_ns.load(std::memory_order_relaxed)) return PutResult::busy;
    const std::uint32_t shard = context.shard_of(wanted.key);
    for (std::uint32_t slice = 0; slice < kSlices; ++slice) {
        std::optional<PutResult> result;
        bool rebuilt = false;
        {
            shm::ShardWriter writer(context.view(), context.attached->mapping.registry(), shard, context.block,
                                    context.now_ns);
            if (!writer.enter(options_.lock_budget)) return PutResult::busy;
            rebuilt = writer.rebuilt();
            // The late result of an old holder is worthless, whatever it read.
            if (lease != nullptr && lease->token_ != 0 &&
                !context.attached->leases.is_current(lease->slot_, lease->token_))
                result = PutResult::older;
            else
                result = writer.put(wanted);
        }
        if (rebuilt)
            log(LogLevel::warning,
                "shard " + std::to_string(shard) + " was rebuilt empty: a process died while writing to it");
        if (result) return *result;
    }
    return PutResult::no_space;
}

/// A stamp of a replaced segment, or from the future, orders nothing here: its value may be older than anything.
bool CacheImpl::is_foreign(const Context& context, const Stamp& stamp) const {
    return stamp.incarnation != context.view().header().incarnation || stamp.notice > context.attached->fences.now();
}

void CacheImpl::settle(const Context& context, std::string_view key, const Stamp& as_of, PutResult result) {
    shm::Fences& fences = context.attached->fences;
    switch (result) {
    case PutResult::stored:
        return context.count(shm::Counter::puts);
    case PutResult::older:
        return context.count(shm::Counter::older_puts);
    case PutResult::bad_key:
    case PutResult::bad_value:
        return;
    case PutResult::fenced:
        context.count(shm::Counter::fenced_fills);
        if (!is_foreign(context, as_of)) return fences.overtake_key(key, as_of.notice);
        break;
    case PutResult::too_large:
        context.count(shm::Counter::too_large);
        break;
    case PutResult::no_space:
        context.count(shm::Counter::no_space);
        break;
    case PutResult::rebuilding:
    case PutResult::busy:
        context.count(shm::Counter::busy);
        break;
    }
    fences.announce(shm::FenceKind::key, key);
}

double CacheImpl::random_share() {
    // splitmix64 (S. Vigna): any thread may take the next step.
    std::uint64_t z = random_state_.fetch_add(0x9e3779b97f4a7c15ULL, std::memory_order_relaxed) + 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

bool CacheImpl::touch(std::string_view key, std::chrono::milliseconds ttl) {
    Context context;
    if (!is_key(key) || !enter(context)) return false;
    const shm::HashedKey hashed = context.hashed(key);
    shm::Look look = look_up(context, hashed);
    bool touched = false;
    if (is_hit(look.verdict)) {
        EntryOptions options;
        options.ttl = ttl;
        options.negative = look.verdict == shm::Verdict::negative;
        options.tracked = look.record->key_entry != shm::kUntracked;
        options.stale_if_error = std::chrono::milliseconds(look.record->stale_if_error_ms);
        shm::for_each_tag(*look.record, [&options](std::string_view tag) { options.tags.emplace_back(tag); });
        const Stamp as_of{context.view().header().incarnation, look.record->as_of};
        touched = offer(context, hashed, shm::value_of(*look.record), options, as_of, nullptr) == PutResult::stored;
    }
    shm::release(look);
    return touched;
}

bool CacheImpl::erase(std::string_view key) {
    const bool was_there = peek(key).state() != State::none;
    invalidate(std::span(&key, 1));
    Context context;
    if (!is_key(key) || !enter(context)) return false;
    shm::ShardWriter writer(context.view(), context.attached->mapping.registry(), context.shard_of(context.hashed(key)),
                            context.block, context.now_ns);
    // The notice has done it; this only gives the memory back early.
    if (writer.enter(std::chrono::nanoseconds(0))) writer.erase(context.hashed(key), shm::Fate::invalidated);
    return was_there;
}

/// A notice must not be lost: it needs the segment but no registration, and waits while another thread opens a new one.
bool CacheImpl::enter_to_announce(Context& context) {
    for (std::uint32_t n = 0; n < kAnnounceTries; ++n) {
        if (enter(context)) return true;
        if (!context.attached->mapping.replaced(context.now_ns)) return true;
        if (shm::system::coarse_ns() < reattach_at_ns_.load(std::memory_order_relaxed)) return false;
        shm::system::sleep_ns(kAnnounceRetryNs);
    }
    return false;
}

std::uint64_t CacheImpl::invalidate(std::span<const std::string_view> keys) {
    Context context;
    if (!enter_to_announce(context)) return 0;
    const std::uint64_t number = context.attached->fences.announce_keys(keys);
    const std::uint32_t now_s = first_seconds(context.now_ns);
    for (const std::string_view key : keys) {
        const shm::HashedKey hashed = context.hashed(key);
        context.attached->keys.note_change(hashed.hash, context.shard_of(hashed), now_s);
    }
    context.count(shm::Counter::invalidations, keys.size());
    return number;
}

std::uint64_t CacheImpl::invalidate(shm::FenceKind kind, std::string_view text) {
    Context context;
    if (!enter_to_announce(context)) return 0;
    const std::uint64_t number = context.attached->fences.announce(kind, text);
    context.count(shm::Counter::invalidations);
    return number;
}

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

void CacheImpl::log(LogLevel level, std::string_view line) const {
    if (options_.log) options_.log(level, line);
}

/// One caller of many is given the turn.
void CacheImpl::tend_if_due(const Context& context) {
    Time64Ref due = context.view().header().tend_due_ns;
    const std::int64_t now = shm::system::coarse_ns();
    std::int64_t at = due.load(std::memory_order_relaxed);
    if (now >= at && due.compare_exchange_strong(at, now + kTendNs, std::memory_order_relaxed)) tend(context, 1);
}

void CacheImpl::tend() {
    Context context;
    if (enter(context)) tend(context, context.view().geometry->shards);
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
    for (std::uint32_t n = 0; n < shards; ++n) {
        shm::ShardWriter writer(view, mapping.registry(), (cursor + n) % view.geometry->shards, context.block,
                                context.now_ns);
        if (writer.enter(std::chrono::nanoseconds(0))) writer.tend();
    }
}

/// While the machine was suspended no monotonic clock ran: whatever is cached may be older than it says.
void CacheImpl::watch_suspend(const Context& context) {
    Time64Ref suspended = context.view().header().suspended_ns;
    const std::int64_t now = shm::system::boottime_ns() - shm::system::monotonic_ns();
    std::int64_t was = suspended.load(std::memory_order_relaxed);
    if (now - was > kSuspendNs && suspended.compare_exchange_strong(was, now, std::memory_order_relaxed))
        context.attached->fences.announce(shm::FenceKind::everything, {});
}

}  // namespace larder::detail
