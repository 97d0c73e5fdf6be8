#include "core/postgres/postgres_import.hpp"

#include "core/postgres/connection.hpp"
#include "core/postgres/schema_sql.hpp"
#include "core/submission_source.hpp"

namespace larder::postgres {
namespace {

constexpr std::size_t kept_lines_bytes = 256 << 10;
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(1279345732, 2)";  // one importer makes it

constexpr const char* temporary_tables =
    "CREATE TEMP TABLE new_assignments(n bigint GENERATED ALWAYS AS IDENTITY, LIKE larder.assignments) ON COMMIT DROP; "
    "CREATE TEMP TABLE new_submissions(n bigint GENERATED ALWAYS AS IDENTITY, LIKE larder.submissions) ON COMMIT DROP";
constexpr const char* assignment_columns =
    "assignment_id, title, author_id, max_score, due_at, assigned_count, course, status, created_at";
constexpr const char* submission_columns =
    "submission_id, assignment_id, student_id, status, score, max_score, is_late, submitted_at, graded_at";

/// One line of COPY's text format.
class Line {
public:
    explicit Line(std::string& into) : into_(into) {}
    ~Line() { into_ += '\n'; }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    Line& operator<<(std::optional<std::int64_t> value) {
        begin();
        into_ += value ? std::to_string(*value) : "\\N";
        return *this;
    }
    Line& operator<<(std::optional<std::string_view> text) {
        begin();
        if (!text) into_ += "\\N";
        for (const char c : text.value_or(std::string_view())) add(c);
        return *this;
    }
    Line& operator<<(std::optional<Points> points) {
        begin();
        if (!points)
            into_ += "\\N";
        else
            into_ += std::to_string(points->ten_thousandths) + "e-4";
        return *this;
    }

private:
    void begin() {
        if (!is_first_) into_ += '\t';
        is_first_ = false;
    }
    void add(char c) {
        switch (c) {
        case '\\':
            into_ += "\\\\";
            break;
        case '\t':
            into_ += "\\t";
            break;
        case '\n':
            into_ += "\\n";
            break;
        case '\r':
            into_ += "\\r";
            break;
        default:
            into_ += c;
        }
    }
    std::string& into_;
    bool is_first_ = true;
};

/// `ON CONFLICT` with each column but the first.
std::string replace_all(const std::string& table, const std::string& columns) {
    const std::string key = columns.substr(0, columns.find(','));
    std::string sets;
    for (std::size_t at = columns.find(", "); at != std::string::npos;) {
        const std::size_t end = columns.find(", ", at + 2);
        const std::string column = columns.substr(at + 2, end == std::string::npos ? end : end - at - 2);
        sets += (sets.empty() ? "" : ", ") + column + " = excluded." + column;
        at = end;
    }
    return "INSERT INTO larder." + table + "(" + columns + ") SELECT DISTINCT ON (" + key + ") " + columns +
           " FROM new_" + table + " ORDER BY " + key + ", n DESC ON CONFLICT (" + key + ") DO UPDATE SET " + sets;
}

}  // namespace

void create_schema(Connection& connection) {
    connection.run("BEGIN");
    connection.run(lock_schema);
    const Rows found = connection.run(
        "SELECT to_regnamespace('larder') IS NOT NULL, "
        "to_regclass('larder.schema_version') IS NOT NULL");
    std::int64_t version = 0;
    if (found.flag(0, 1)) version = connection.run("SELECT version FROM larder.schema_version").integer(0, 0);
    if (version > schema_version)
        throw SourceError("the database " + connection.server() + " has schema " + std::to_string(version) +
                          ", newer than this program knows: use a newer Larder");
    if (version == 0 && found.flag(0, 0))
        throw SourceError("the database " + connection.server() +
                          " has a schema `larder` of another program: use another database");
    if (version == 0) connection.run(std::string(schema_sql(0)));
    for (std::int64_t next = version + 1; next <= schema_version; ++next) connection.run(std::string(schema_sql(next)));
    connection.run(std::string(repeated_sql()));
    connection.run("UPDATE larder.schema_version SET version = " + std::to_string(schema_version));
    connection.run("COMMIT");
}

PostgresImport::PostgresImport(const std::string& url)
    : connection_(std::make_unique<Connection>(
          ConnectionOptions{.url = url, .name = "larder import", .must_write = true, .patience = patience})) {
    create_schema(*connection_);
    connection_->run("SET statement_timeout = 0; BEGIN");
    connection_->run(temporary_tables);
}

PostgresImport::~PostgresImport() = default;

void PostgresImport::flush(std::size_t above) {
    if (lines_.size() <= above) return;
    connection_->put_copy(lines_);
    lines_.clear();
}

void PostgresImport::copy_into(Copying table) {
    if (copying_ == table) return;
    if (copying_ != Copying::nothing) {
        flush(0);
        connection_->end_copy();
    }
    copying_ = table;
    if (table == Copying::nothing) return;
    const bool is_assignments = table == Copying::assignments;
    connection_->run(std::string("COPY ") + (is_assignments ? "new_assignments" : "new_submissions") + "(" +
                     (is_assignments ? assignment_columns : submission_columns) + ") FROM STDIN");
}

void PostgresImport::put(const AssignmentRow& row) {
    copy_into(Copying::assignments);
    Line(lines_) << std::optional(row.id) << row.title << row.author_id << row.max_score << row.due_at
                 << std::optional(row.assigned_count) << row.course << row.status << row.created_at;
    flush(kept_lines_bytes);
}

void PostgresImport::put(const SubmissionRow& row) {
    copy_into(Copying::submissions);
    Line(lines_) << std::optional(row.id) << std::optional(row.assignment_id) << row.student_id << row.status
                 << row.score << row.max_score << std::optional<std::string_view>(row.is_late ? "t" : "f")
                 << row.submitted_at << row.graded_at;
    flush(kept_lines_bytes);
}

std::unordered_set<AssignmentId> PostgresImport::known_assignments() {
    copy_into(Copying::nothing);
    const Rows rows = connection_->run(
        "SELECT assignment_id FROM larder.assignments UNION SELECT assignment_id FROM new_assignments");
    std::unordered_set<AssignmentId> known;
    for (int row = 0; row < rows.count(); ++row) known.insert(rows.integer(row, 0));
    return known;
}

void PostgresImport::commit() {
    copy_into(Copying::nothing);
    connection_->run(replace_all("assignments", assignment_columns));
    connection_->run(replace_all("submissions", submission_columns));
    connection_->run("COMMIT");
}

}  // namespace larder::postgres
