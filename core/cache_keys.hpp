// The names under which core keeps things in the cache.
#pragma once

#include <string>
#include <string_view>

#include "core/assignment.hpp"

namespace larder {

inline constexpr std::string_view stats_namespace = "assignment_stats";
inline constexpr std::string_view access_namespace = "assignment_access";

/// `assignment_stats:{id}`: the document.
inline std::string stats_key(AssignmentId id) { return std::string(stats_namespace) + ":" + std::to_string(id); }

/// `assignment_access:{id}`: existence and author.
inline std::string access_key(AssignmentId id) { return std::string(access_namespace) + ":" + std::to_string(id); }

inline std::string author_tag(UserId author_id) { return "author:" + std::to_string(author_id); }

inline std::string course_tag(std::string_view course) { return "course:" + std::string(course); }

}  // namespace larder
