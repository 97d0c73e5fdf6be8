#include "core/assignment_notices.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache_keys.hpp"

namespace larder {
namespace {

constexpr std::string_view position_key = "outbox_relay:position";
constexpr std::chrono::hours position_ttl{24 * 365};

}  // namespace

AssignmentNotices::AssignmentNotices(Cache cache, Log log, OnPublished on_published)
    : cache_(std::move(cache)), log_(std::move(log)), on_published_(std::move(on_published)) {}

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

void AssignmentNotices::everything_changed(std::string_view why) {
    announce_all();
    log_(LogLevel::info, "Invalidated stats cache for all assignments: " + std::string(why));
}

std::optional<OutboxPosition> AssignmentNotices::position() {
    const Pinned kept = cache_.peek(position_key);
    if (!kept) return std::nullopt;
    const std::string_view text = kept.value();
    OutboxPosition position;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), position.seq);
    if (error != std::errc{} || end == text.data() + text.size() || *end != '@') return std::nullopt;
    position.database = text.substr(static_cast<std::size_t>(end + 1 - text.data()));
    return position;
}

void AssignmentNotices::remember(const OutboxPosition& position) {
    EntryOptions options;
    options.ttl = position_ttl;
    const PutResult result = cache_.put(position_key, std::to_string(position.seq) + "@" + position.database, options);
    if (result != PutResult::stored)
        log_(LogLevel::debug, "The position of the outbox was not kept: " + std::string(name_of(result)));
}

}  // namespace larder
