// Notices: said where everybody looks, also while the segment is being replaced.
#include "shm/cache_impl.hpp"
#include "shm/elapsed.hpp"
#include "shm/segment.hpp"

namespace larder::detail {
namespace {

constexpr std::uint32_t kAnnounceTries = 2'000;
constexpr std::int64_t kAnnounceRetryNs = 5'000'000;
constexpr std::uint32_t kAnnouncements = 8;  // of one notice, while segments are replaced under it

std::uint32_t first_seconds(std::int64_t now_ns) { return static_cast<std::uint32_t>(now_ns / 1'000'000'000); }

}  // namespace

/// A notice must not be lost: it needs the segment but no registration, and waits while another thread opens a new one.
bool CacheImpl::enter_to_announce(Context& context) {
    for (std::uint32_t n = 0; n < kAnnounceTries; ++n) {
        if (enter_to_write(context)) return true;
        if (!context.attached->mapping.replaced(shm::system::coarse_ns())) return true;
        if (shm::system::coarse_ns() < reattach_at_ns_.load(std::memory_order_relaxed)) return false;
        shm::system::sleep_ns(kAnnounceRetryNs);
    }
    return false;
}

/// Calls announce(context), which returns the notice's number, until it was done where everybody looks.
template <class Announce>
std::uint64_t CacheImpl::announce(const Announce& announce) {
    for (std::uint32_t n = 0; n < kAnnouncements; ++n) {
        Context context;
        const std::int64_t looked_ns = shm::system::coarse_ns();
        if (!enter_to_announce(context)) return 0;
        const std::uint64_t number = announce(context);
        if (was_heard(context, looked_ns)) return number;
    }
    return 0;
}

/// False: the segment was replaced before the notice was in it. A successor gives no stamp before it is open, kClosedNs
/// after its making: who announces within kLookNs of its look at the name is in time for all that is kept there.
bool CacheImpl::was_heard(const Context& context, std::int64_t looked_ns) const {
    const shm::SegmentView& view = context.view();
    shm::Mapping& mapping = context.attached->mapping;
    const std::int64_t now_ns = shm::system::coarse_ns();
    if (shm::is_closed_for_good(view) || now_ns - looked_ns > shm::kLookNs) mapping.look_again();
    if (mapping.replaced(now_ns)) return false;
    // Who has the predecessor mapped may go on serving from it until its next look.
    const std::int64_t open_at_ns = view.header().open_at_ns.load(std::memory_order_relaxed);
    const std::int64_t early_ns = shm::elapsed_ns(now_ns, open_at_ns);
    if (early_ns > shm::kEverybodyLooksNs)
        shm::system::sleep_ns(std::min(early_ns, shm::kClosedNs) - shm::kEverybodyLooksNs);  // whatever the word says
    return true;
}

std::uint64_t CacheImpl::invalidate(std::span<const std::string_view> keys) {
    return announce([&](const Context& context) {
        // All that is far away comes at once, not one after the other between the atomic steps.
        for (const std::string_view key : keys) {
            const shm::HashedKey hashed = context.hashed(key);
            context.attached->keys.prefetch(hashed.hash, context.shard_of(hashed));
            context.attached->fences.prefetch_key(key);
        }
        const std::uint64_t number = context.attached->fences.announce_keys(keys);
        const std::uint32_t now_s = first_seconds(context.now_ns);
        for (const std::string_view key : keys) {
            const shm::HashedKey hashed = context.hashed(key);
            context.attached->keys.note_change(hashed.hash, context.shard_of(hashed), now_s);
        }
        context.count(shm::Counter::invalidations, keys.size());
        return number;
    });
}

std::uint64_t CacheImpl::invalidate(shm::FenceKind kind, std::string_view text) {
    // As it stands in keys, with its ':' or without.
    if (kind == shm::FenceKind::name_space && text.ends_with(':')) text.remove_suffix(1);
    return announce([&](const Context& context) {
        const std::uint64_t number = context.attached->fences.announce(kind, text);
        context.count(shm::Counter::invalidations);
        return number;
    });
}

/// By a process that is not attached: it can still take an older value out of sight. In a segment that was replaced
/// there is none.
PutResult CacheImpl::unkept(const Context& context, std::string_view key) {
    context.count(shm::Counter::busy);
    if (!context.attached->mapping.replaced(shm::system::coarse_ns()))
        context.attached->fences.announce(shm::FenceKind::key, key);
    return PutResult::busy;
}

}  // namespace larder::detail
