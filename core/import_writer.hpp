// ImportWriter: what the rows of an import are written into, all or none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/assignment.hpp"

namespace larder {

/// The columns of the import format. Texts are valid for the call; each ends with a NUL and has none inside.
struct AssignmentRow {
    AssignmentId id = 0;
    std::optional<std::string_view> title;
    std::optional<UserId> author_id;
    std::optional<Points> max_score;
    std::optional<std::string_view> due_at;
    std::int64_t assigned_count = 0;
    std::optional<std::string_view> course, status, created_at;
};

struct SubmissionRow {
    std::int64_t id = 0;
    AssignmentId assignment_id = 0;
    std::optional<UserId> student_id;
    std::optional<std::string_view> status;
    std::optional<Points> score, max_score;
    bool is_late = false;
    std::optional<std::string_view> submitted_at, graded_at;
};

/// One transaction: destroyed without a commit it has written nothing. A known id replaces the old row, the later row
/// of an import the earlier. Every member throws SourceError. Threads: one.
class ImportWriter {
public:
    virtual ~ImportWriter() = default;
    virtual void put(const AssignmentRow& row) = 0;
    virtual void put(const SubmissionRow& row) = 0;
    /// Those that were put included.
    virtual std::unordered_set<AssignmentId> known_assignments() = 0;
    /// Leaves one row in the outbox of each assignment that was touched.
    virtual void commit() = 0;
};

}  // namespace larder
