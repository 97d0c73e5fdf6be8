// The model: an assignment and what was handed in for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/points.hpp"
#include "core/timestamp.hpp"

namespace larder {

using AssignmentId = std::int64_t;  ///< positive
using UserId = std::int64_t;

struct Assignment {
    AssignmentId id = 0;
    std::optional<std::string> title;
    std::optional<UserId> author_id;
    std::optional<Points> max_score;
    std::int64_t assigned_count = 0;  ///< students enrolled
    std::optional<std::string> course;
};

struct Submission {
    bool graded = false;  ///< its status is `graded`
    bool late = false;
    std::optional<Points> score;
    std::optional<Points> max_score;  ///< of this row; the assignment's own may have changed since
    std::optional<Timestamp> submitted_at;
    std::optional<Timestamp> graded_at;
};

/// One assignment with all its submissions, as of one moment of its source.
struct AssignmentRecord {
    Assignment assignment;
    std::vector<Submission> submissions;
};

}  // namespace larder
