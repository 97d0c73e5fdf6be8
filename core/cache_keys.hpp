// The names under which core keeps things in the cache.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/assignment.hpp"

namespace larder {

inline constexpr std::string_view stats_namespace = "assignment_stats";
inline constexpr std::string_view access_namespace = "assignment_access";

/// `assignment_stats:{id}`: the document.
inline std::string stats_key(AssignmentId id) { return std::string(stats_namespace) + ":" + std::to_string(id); }

/// `assignment_access:{id}`: existence and author.
inline std::string access_key(AssignmentId id) { return std::string(access_namespace) + ":" + std::to_string(id); }

/// All keys of these assignments: what a change of them takes out of the cache.
inline std::vector<std::string> assignment_keys(std::span<const AssignmentId> ids) {
    std::vector<std::string> keys;
    keys.reserve(2 * ids.size());
    for (const AssignmentId id : ids) {
        keys.push_back(stats_key(id));
        keys.push_back(access_key(id));
    }
    return keys;
}

inline std::string author_tag(UserId author_id) { return "author:" + std::to_string(author_id); }

inline std::string course_tag(std::string_view course) { return "course:" + std::string(course); }

}  // namespace larder
