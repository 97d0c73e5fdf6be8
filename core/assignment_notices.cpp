#include "core/assignment_notices.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache_keys.hpp"

namespace larder {
namespace {

constexpr std::string_view arrived_key = "outbox_relay:arrived";
constexpr std::chrono::hours position_ttl{24 * 365};
constexpr std::uint64_t notices_of_all = 2;

}  // namespace

AssignmentNotices::AssignmentNotices(Cache cache, Log log, OnPublished on_published)
    : cache_(std::move(cache)), log_(std::move(log)), on_published_(std::move(on_published)) {}

bool lacks_nothing_told(const Cache& cache, std::uint64_t position, std::string_view key) {
    const std::optional<SyncState> state = cache.sync_state();
    return !state || state->degraded || cache.is_current_at(position, key, {});
}

std::uint64_t AssignmentNotices::announce_all() {
    cache_.invalidate_namespace(stats_namespace);
    return cache_.invalidate_namespace(access_namespace);
}

std::uint64_t AssignmentNotices::announce(std::span<const AssignmentId> ids) {
    if (ids.empty()) return 0;
    if (ids.size() > max_named) {
        const std::uint64_t notice = announce_all();
        log_(LogLevel::info, "Invalidated stats cache for all assignments: " + std::to_string(ids.size()) + " changed");
        return notice;
    }
    const std::vector<std::string> keys = assignment_keys(ids);
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const std::uint64_t notice = cache_.invalidate(std::span<const std::string_view>(views));
    for (const AssignmentId id : ids)
        log_(LogLevel::info, "Invalidated stats cache for assignment " + std::to_string(id));
    return notice;
}

std::uint64_t AssignmentNotices::announce_each(std::span<const AssignmentId> ids) {
    std::uint64_t notice = 0;
    for (; !ids.empty(); ids = ids.subspan(std::min(ids.size(), max_named)))
        notice = announce(ids.first(std::min(ids.size(), max_named)));
    return notice;
}

/// `announce` says how many notices it made.
template <class Announce>
void AssignmentNotices::tell(Announce announce) {
    const Stamp before = cache_.stamp();
    const std::uint64_t made = announce();
    const Stamp after = cache_.stamp();
    if (after.incarnation != before.incarnation || after.notice != before.notice + made) return;  // some are others'
    for (Stamp* const told : {&told_, &told_at_look_})
        if (told->incarnation == before.incarnation && told->notice == before.notice) *told = after;
}

void AssignmentNotices::changed(std::span<const AssignmentId> ids) {
    tell([&]() -> std::uint64_t {
        announce(ids);
        return ids.size() > max_named ? notices_of_all : ids.empty() ? 0 : 1;
    });
}

void AssignmentNotices::look_begins() {
    told_at_look_ = cache_.stamp();
    look_ = cache_.begin_sync();
}

void AssignmentNotices::look_ended(std::uint64_t source_position) {
    cache_.synced(look_, source_position);
    if (remembered_ && !position()) keep_position(position_key, *remembered_);  // a notice of others took it, too
    if (told_.incarnation != told_at_look_.incarnation || told_.notice < told_at_look_.notice) told_ = told_at_look_;
}

void AssignmentNotices::applied(std::uint64_t sequence) { cache_.mark_position(told_, stream_position(sequence)); }

void AssignmentNotices::everything_changed(std::string_view why) {
    tell([&] {
        const std::array<std::string_view, 2> positions{position_key, arrived_key};
        remembered_.reset();
        cache_.invalidate(std::span<const std::string_view>(positions));
        announce_all();
        return 1 + notices_of_all;
    });
    log_(LogLevel::info, "Invalidated stats cache for all assignments: " + std::string(why));
}

std::optional<OutboxPosition> AssignmentNotices::position() { return kept_position(position_key); }

void AssignmentNotices::remember(const OutboxPosition& position) {
    remembered_ = position;
    keep_position(position_key, position);
}

void AssignmentNotices::arrived(const OutboxPosition& position) { keep_position(arrived_key, position); }

std::optional<OutboxPosition> AssignmentNotices::contained() {
    std::optional<OutboxPosition> arrived = kept_position(arrived_key);
    return arrived ? arrived : position();
}

std::optional<OutboxPosition> AssignmentNotices::kept_position(std::string_view key) {
    const Pinned kept = cache_.peek(key);
    if (!kept) return std::nullopt;
    return OutboxPosition::parse(kept.value());
}

void AssignmentNotices::keep_position(std::string_view key, const OutboxPosition& position) {
    EntryOptions options;
    options.ttl = position_ttl;
    const PutResult result = cache_.put(key, position.text(), options);
    if (result != PutResult::stored)
        log_(LogLevel::debug, "The position of the outbox was not kept: " + std::string(name_of(result)));
}

}  // namespace larder
