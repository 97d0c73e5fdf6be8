#include "core/access.hpp"

#include <array>
#include <charconv>
#include <string>

#include "core/assignment_notices.hpp"
#include "core/cache_keys.hpp"

namespace larder {
namespace {

constexpr std::string_view author_prefix = "author=";

std::string encode(const Ownership& ownership) {
    std::string text(author_prefix);
    if (ownership.author_id) text += std::to_string(*ownership.author_id);
    return text;
}

/// nullopt: not what encode wrote.
std::optional<Ownership> decode(std::string_view text) {
    if (!text.starts_with(author_prefix)) return std::nullopt;
    text.remove_prefix(author_prefix.size());
    if (text.empty()) return Ownership{};
    UserId author_id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), author_id);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return Ownership{author_id};
}

}  // namespace

std::optional<Role> role_from(std::string_view name) {
    constexpr std::array<std::string_view, 4> names{"student", "tutor", "teacher", "admin"};
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<Role>(i);
    return std::nullopt;
}

AccessRule::AccessRule(Cache cache, SourcePool& sources, const EntryOptions& times)
    : cache_(std::move(cache)), sources_(sources), times_(times) {}

Access AccessRule::judge(const Caller& caller, const std::optional<Ownership>& found) {
    if (!found) return Access::not_found;
    if (caller.role == Role::admin) return Access::ok;
    return found->author_id == caller.user_id ? Access::ok : Access::forbidden;
}

Access AccessRule::check(const Caller& caller, AssignmentId id) {
    if (caller.role == Role::student) return Access::forbidden;
    return judge(caller, ownership(id));
}

std::optional<Access> AccessRule::check_cached(const Caller& caller, AssignmentId id) {
    if (caller.role == Role::student) return Access::forbidden;
    const Pinned kept = cache_.find(access_key(id), false);
    if (kept.state() == State::negative) return Access::not_found;
    const std::optional<Ownership> found = kept ? decode(kept.value()) : std::nullopt;
    return found ? std::optional(judge(caller, found)) : std::nullopt;
}

std::optional<Ownership> AccessRule::ownership(AssignmentId id) {
    if (id <= 0) return std::nullopt;
    const auto read = [&](EntryOptions& read_options) -> std::optional<std::string> {
        const std::optional<Ownership> found = sources_.read_current(
            read_options.source_position,
            [&](std::uint64_t position) { return lacks_nothing_told(cache_, position, access_key(id)); },
            [id](SubmissionSource& source) { return source.ownership(id); });
        if (found && found->author_id) read_options.tags.push_back(author_tag(*found->author_id));
        return found ? std::optional(encode(*found)) : std::nullopt;
    };
    EntryOptions options = times_;
    options.tracked = false;  // anybody's guesses at ids must not fill the key table
    const Pinned kept = cache_.warm(access_key(id), read, options);
    if (!kept) return std::nullopt;
    const std::optional<Ownership> decoded = decode(kept.value());
    if (decoded) return decoded;
    return sources_.read([id](SubmissionSource& source) { return source.ownership(id); });
}

}  // namespace larder
