#include "core/postgres/postgres_source.hpp"

#include <utility>

#include "core/postgres/connection.hpp"
#include "core/postgres/foreign_schema.hpp"

namespace larder::postgres {
namespace {

// Microseconds since 1970; a time that is no moment is one that is not known. Points: see core/points.hpp.
#define MICROSECONDS(column)     \
    "CASE WHEN isfinite(" column \
    "::timestamptz) THEN "       \
    "(extract(epoch FROM " column "::timestamptz) * 1000000)::bigint END"
#define POINTS(column) "round(" column "::numeric * 10000)::bigint"

// One statement, hence one snapshot: assignment and submissions are of one moment. The first column of a submission
// says whether there is one.
constexpr const char* select_record =
    "SELECT a.title, a.author_id, " POINTS("a.max_score") ", a.assigned_count, a.course, "
    "s.assignment_id IS NOT NULL, s.status = 'graded', " POINTS("s.score") ", " POINTS("s.max_score") ", s.is_late, "
    MICROSECONDS("s.submitted_at") ", " MICROSECONDS("s.graded_at")
    " FROM assignments a LEFT JOIN submissions s ON s.assignment_id = a.assignment_id "
    "WHERE a.assignment_id = $1::bigint";
constexpr const char* select_author = "SELECT author_id FROM assignments WHERE assignment_id = $1::bigint";
constexpr const char* select_recent =
    "SELECT assignment_id FROM assignments WHERE author_id = $1::bigint "
    "ORDER BY created_at DESC NULLS LAST, assignment_id DESC LIMIT $2::bigint";
constexpr const char* select_ids = "SELECT assignment_id FROM assignments ORDER BY assignment_id";
constexpr const char* select_active =
    "WITH since AS (SELECT timestamptz 'epoch' + $1::bigint * interval '1 microsecond' AS time) "
    "SELECT DISTINCT assignment_id FROM submissions, since "
    "WHERE submitted_at::timestamptz >= time OR graded_at::timestamptz >= time ORDER BY assignment_id";

#undef MICROSECONDS
#undef POINTS

std::optional<Points> points(const Rows& rows, int row, int column) {
    const std::optional<std::int64_t> value = rows.optional_integer(row, column);
    if (!value) return std::nullopt;
    if (*value <= -points_limit * points_scale || *value >= points_limit * points_scale)
        throw SourceError("a score in the database is not below 1e9: correct that row");
    return Points{*value};
}

std::optional<Timestamp> time(const Rows& rows, int row, int column) {
    const std::optional<std::int64_t> value = rows.optional_integer(row, column);
    if (!value) return std::nullopt;
    return Timestamp(std::chrono::microseconds(*value));
}

std::vector<AssignmentId> ids_of(const Rows& rows) {
    std::vector<AssignmentId> ids;
    for (int row = 0; row < rows.count(); ++row) ids.push_back(rows.integer(row, 0));
    return ids;
}

Assignment assignment_of(AssignmentId id, const Rows& rows) {
    Assignment assignment;
    assignment.id = id;
    assignment.title = rows.optional_text(0, 0);
    assignment.author_id = rows.optional_integer(0, 1);
    assignment.max_score = points(rows, 0, 2);
    assignment.assigned_count = rows.optional_integer(0, 3).value_or(0);
    assignment.course = rows.optional_text(0, 4);
    return assignment;
}

Submission submission_of(const Rows& rows, int row) {
    Submission submission;
    submission.graded = rows.flag(row, 6);
    submission.score = points(rows, row, 7);
    submission.max_score = points(rows, row, 8);
    submission.late = rows.flag(row, 9);
    submission.submitted_at = time(rows, row, 10);
    submission.graded_at = time(rows, row, 11);
    return submission;
}

}  // namespace

PostgresSource::PostgresSource(const std::string& url, const std::string& views)
    : connection_(
          std::make_unique<Connection>(ConnectionOptions{.url = url, .name = "larder worker", .patience = patience})),
      has_views_(!views.empty()) {
    if (has_views_) {
        apply_views(*connection_, views);
        connection_->prepare("names", names_hold_sql(*connection_));
    }
    connection_->run("SET default_transaction_read_only = on");
    is_replica_ = connection_->run("SELECT pg_is_in_recovery()").flag(0, 0);
    connection_->prepare("record", select_record);
    connection_->prepare("author", select_author);
    connection_->prepare("recent", select_recent);
    connection_->prepare("ids", select_ids);
    connection_->prepare("active", select_active);
}

PostgresSource::~PostgresSource() = default;

/// A statement of its own: within the one that reads, it would be evaluated after the snapshot was taken. A replica may
/// have become the primary since.
std::uint64_t PostgresSource::position() {
    if (!is_replica_) return 0;
    return static_cast<std::uint64_t>(
        connection_
            ->run("SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint ELSE 0 "
                  "END")
            .integer(0, 0));
}

/// Asked before it reads: a table that is renamed later is announced later, and what was read here is refused.
Rows PostgresSource::ask(const char* prepared, std::initializer_list<Value> values) {
    if (has_views_ && !connection_->ask("names").flag(0, 0)) {
        is_outdated_ = true;
        throw SourceUnavailable("another table has the name of one that the views of --schema read: read again");
    }
    return connection_->ask(prepared, values);
}

std::optional<AssignmentRecord> PostgresSource::load(AssignmentId id) {
    const Rows rows = ask("record", {id});
    if (rows.count() == 0) return std::nullopt;
    AssignmentRecord record{.assignment = assignment_of(id, rows), .submissions = {}};
    for (int row = 0; row < rows.count(); ++row)
        if (rows.flag(row, 5)) record.submissions.push_back(submission_of(rows, row));
    return record;
}

std::optional<Ownership> PostgresSource::ownership(AssignmentId id) {
    const Rows rows = ask("author", {id});
    if (rows.count() == 0) return std::nullopt;
    return Ownership{rows.optional_integer(0, 0)};
}

std::vector<AssignmentId> PostgresSource::recent_of_author(UserId author_id, int limit) {
    return ids_of(ask("recent", {author_id, std::int64_t{limit}}));
}

std::vector<AssignmentId> PostgresSource::all_ids() { return ids_of(ask("ids")); }

std::vector<AssignmentId> PostgresSource::active_since(Timestamp time) {
    return ids_of(ask("active", {time.time_since_epoch().count()}));
}

bool PostgresSource::is_current() const { return !is_outdated_ && connection_->is_alive(); }

}  // namespace larder::postgres
