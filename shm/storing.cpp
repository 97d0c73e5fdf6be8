// What a cache keeps: put, touch, erase, and what becomes of a value that cannot be kept.
#include <algorithm>
#include <limits>

#include "shm/cache_impl.hpp"
#include "shm/geometry.hpp"

namespace larder::detail {
namespace {

constexpr std::uint32_t kSlices = 4096;  // of one put: holdings of the lock to make room
constexpr std::int64_t kForeverNs = std::numeric_limits<std::int64_t>::max();

}  // namespace

PutResult CacheImpl::put(std::string_view key, std::string_view value, const EntryOptions& options) {
    Context context;
    if (!is_key(key)) return PutResult::bad_key;
    if (!enter_to_write(context)) return unkept(context, key);
    const Stamp as_of = options.as_of ? *options.as_of : stamp_of_now(context);
    const PutResult result = store(context, context.hashed(key), value, options, as_of, nullptr);
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

/// Lowers `as_of` to what the source had seen.
PutResult CacheImpl::offer(const Context& context, const shm::HashedKey& key, std::string_view value,
                           const EntryOptions& options, Stamp& as_of, const Lease* lease) {
    if (value.empty() && !options.negative) return PutResult::bad_value;
    if (is_closed(context)) return PutResult::busy;
    if (is_foreign(context, as_of)) return PutResult::fenced;
    if (options.source_position != 0) as_of.notice = std::min(as_of.notice, notice_seen(context, key, options));
    shm::NewRecord wanted = record_of(context, key, value, options);
    wanted.as_of = as_of.notice;
    wanted.read_ns = std::min(as_of.at_ns, context.now_ns);
    wanted.for_waiters = lease != nullptr && lease->token_ != 0;
    const bool tags_fit = options.tags.size() <= shm::kMaxTags &&
                          std::all_of(options.tags.begin(), options.tags.end(), [](const std::string& tag) {
                              return !tag.empty() && tag.size() <= shm::kMaxTagBytes;
                          });
    if (!tags_fit || value.size() > shm::max_value_bytes(*context.view().geometry)) return PutResult::too_large;
    wanted.checksum = shm::checksum_of(value);
    return publish(context, wanted, lease);
}

/// Number of the last notice whose change a source at that position is known to have seen. Where nothing is known the
/// value may be older than anything: a notice of its own keeps it from all but those who wait for it.
std::uint64_t CacheImpl::notice_seen(const Context& context, const shm::HashedKey& key, const EntryOptions& options) {
    const std::optional<std::uint64_t> notice = context.attached->sync.notice_seen_at(options.source_position);
    if (notice) return *notice;
    context.attached->fences.announce(shm::FenceKind::key, key.text);
    return 0;
}

/// All of it but what orders it against others.
shm::NewRecord CacheImpl::record_of(const Context& context, const shm::HashedKey& key, std::string_view value,
                                    const EntryOptions& options) {
    shm::NewRecord wanted;
    wanted.key = key;
    wanted.value = value;
    wanted.tags = options.tags;
    std::int64_t ttl_ns = to_ns(options.ttl);
    if (options.ttl.count() == 0) ttl_ns = to_ns(options.negative ? options_.negative_ttl : options_.ttl);
    if (options.jitter > 0)
        ttl_ns -=
            static_cast<std::int64_t>(static_cast<double>(ttl_ns) * std::min(options.jitter, 1.0) * random_share());
    wanted.expires_ns = context.now_ns + ttl_ns;
    wanted.soft_expires_ns = options.soft_ttl.count() > 0 ? context.now_ns + to_ns(options.soft_ttl) : kForeverNs;
    wanted.stale_if_error_ms = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(options.stale_if_error.count(), 0, std::numeric_limits<std::uint32_t>::max()));
    wanted.flags =
        static_cast<std::uint8_t>((options.negative ? shm::kNegative : 0) | (options.backed ? shm::kBacked : 0) |
                                  (options.source_position != 0 ? shm::kReplica : 0));
    wanted.tracked = options.tracked;
    return wanted;
}

PutResult CacheImpl::publish(const Context& context, const shm::NewRecord& wanted, const Lease* lease) {
    const std::uint32_t shard = context.shard_of(wanted.key);
    for (std::uint32_t slice = 0; slice < kSlices; ++slice) {
        std::optional<PutResult> result;
        const bool entered = write_in(context, shard, options_.lock_budget, [&](shm::ShardWriter& writer) {
            // The late result of an old holder is worthless, whatever it read.
            const bool late = lease != nullptr && lease->token_ != 0 &&
                              !context.attached->leases.is_current(lease->slot_, lease->token_);
            result = late ? PutResult::older : writer.put(wanted);
        });
        if (!entered) return PutResult::busy;
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

/// The same record with another ttl, unless another has taken its place meanwhile.
bool CacheImpl::touch(std::string_view key, std::chrono::milliseconds ttl) {
    Context context;
    if (!is_key(key) || !enter_to_write(context)) return false;
    const shm::HashedKey hashed = context.hashed(key);
    HeldLook look(look_up(context, hashed));
    if (!is_hit(look->verdict) || is_closed(context)) return false;
    const shm::Record& record = *look->record;
    EntryOptions options;
    options.ttl = ttl;
    options.negative = look->verdict == shm::Verdict::negative;
    options.tracked = record.key_entry != shm::kUntracked;
    shm::for_each_tag(record, [&options](std::string_view tag) { options.tags.emplace_back(tag); });
    shm::NewRecord wanted = record_of(context, hashed, look->value, options);
    wanted.as_of = record.as_of;
    wanted.read_ns = record.read_ns;
    wanted.flags = record.flags;
    wanted.soft_expires_ns = record.soft_expires_ns;
    wanted.stale_if_error_ms = record.stale_if_error_ms;
    wanted.checksum = record.checksum;
    wanted.renewed = record.id;
    return publish(context, wanted, nullptr) == PutResult::stored;
}

bool CacheImpl::erase(std::string_view key) {
    const bool was_there = peek(key).state() != State::none;
    invalidate(std::span(&key, 1));
    Context context;
    if (!is_key(key) || !enter_to_write(context)) return false;
    const shm::HashedKey hashed = context.hashed(key);
    // The notice has done it; this only gives the memory back early.
    write_in(context, context.shard_of(hashed), std::chrono::nanoseconds(0),
             [&](shm::ShardWriter& writer) { writer.erase(hashed, shm::Fate::invalidated); });
    return was_there;
}

}  // namespace larder::detail
