#include "core/csv_import.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <array>
#include <unordered_set>

#include "core/csv_table.hpp"
#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 10'000;
constexpr std::uint64_t rows_per_report = 4'096;
constexpr std::size_t max_course_bytes = 249;  // with `course:` a tag

using Progress = std::function<void(const ImportProgress&)>;

constexpr std::array<CsvColumn, 9> assignment_columns{{{"assignment_id"},
                                                       {"title"},
                                                       {"author_id"},
                                                       {"max_score"},
                                                       {"due_at"},
                                                       {"assigned_count"},
                                                       {"course", false},
                                                       {"status", false},
                                                       {"created_at", false}}};
constexpr const char* insert_assignment =
    "INSERT OR REPLACE INTO assignments(assignment_id, title, author_id, max_score, due_at, assigned_count, course, "
    "status, "
    "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

constexpr std::array<CsvColumn, 9> submission_columns{{{"submission_id"},
                                                       {"assignment_id"},
                                                       {"student_id"},
                                                       {"status"},
                                                       {"score"},
                                                       {"max_score"},
                                                       {"is_late"},
                                                       {"submitted_at"},
                                                       {"graded_at"}}};
constexpr const char* insert_submission =
    "INSERT OR REPLACE INTO submissions(submission_id, assignment_id, student_id, status, score, max_score, is_late, "
    "submitted_at, graded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// One row of an insert statement, bound from left to right. Text is not copied: it is a whole field of the table,
/// which ends with a NUL, has none inside, and lives until the next row.
class Row {
public:
    explicit Row(SQLite::Statement& statement) : statement_(statement) {}

    Row& operator<<(std::optional<std::int64_t> value) {
        ++index_;
        value ? statement_.bind(index_, *value) : statement_.bind(index_);
        return *this;
    }
    Row& operator<<(std::optional<std::string_view> text) {
        ++index_;
        text ? statement_.bindNoCopy(index_, text->data()) : statement_.bind(index_);
        return *this;
    }
    Row& operator<<(std::optional<Points> points) {
        if (!points || points->ten_thousandths % points_scale == 0)
            return *this << (points ? std::optional(points->ten_thousandths / points_scale) : std::nullopt);
        statement_.bind(++index_, to_double(*points));
        return *this;
    }
    void insert() {
        statement_.exec();
        statement_.reset();
    }

private:
    SQLite::Statement& statement_;
    int index_ = 0;
};

void report(const Progress& progress, const std::string& file, std::uint64_t rows, const CsvTable& table) {
    if (progress) progress(ImportProgress{file, rows, table.reader().bytes_read(), table.reader().bytes_total()});
}

/// Returns how many rows of the table come from the file: of two with one id, in the first column, the later replaces
/// the other.
template <class InsertRow>
std::uint64_t import_rows(CsvTable& table, const std::string& file, const Progress& progress, InsertRow insert_row) {
    std::uint64_t rows = 0;
    std::unordered_set<std::int64_t> ids;
    while (table.next()) {
        insert_row();
        ids.insert(table.id(0));
        if (++rows % rows_per_report == 0) report(progress, file, rows, table);
    }
    report(progress, file, rows, table);
    return ids.size();
}

std::uint64_t import_assignments(SQLite::Database& database, const std::string& file, const Progress& progress) {
    CsvTable table(file, assignment_columns);
    SQLite::Statement statement(database, insert_assignment);
    return import_rows(table, file, progress, [&] {
        Row row(statement);
        row << std::optional(table.id(0)) << table.text(1) << table.integer(2) << table.maximum(3) << table.time(4)
            << std::optional(table.count(5).value_or(0)) << table.text(6, max_course_bytes) << table.text(7)
            << table.time(8);
        row.insert();
    });
}

std::unordered_set<std::int64_t> known_assignments(SQLite::Database& database) {
    std::unordered_set<std::int64_t> known;
    SQLite::Statement statement(database, "SELECT assignment_id FROM assignments");
    while (statement.executeStep()) known.insert(statement.getColumn(0).getInt64());
    return known;
}

std::uint64_t import_submissions(SQLite::Database& database, const std::string& file, const Progress& progress) {
    const std::unordered_set<std::int64_t> known = known_assignments(database);
    CsvTable table(file, submission_columns);
    SQLite::Statement statement(database, insert_submission);
    return import_rows(table, file, progress, [&] {
        const std::int64_t assignment_id = table.id(1);
        if (known.count(assignment_id) == 0)
            table.fail(1, "names an assignment that does not exist: " + std::to_string(assignment_id));
        Row row(statement);
        row << std::optional(table.id(0)) << std::optional(assignment_id) << table.integer(2) << table.text(3)
            << table.points(4) << table.maximum(5) << std::optional<std::int64_t>(table.flag(6)) << table.time(7)
            << table.time(8);
        row.insert();
    });
}

std::int64_t last_seq(SQLite::Database& database) {
    return database.execAndGet("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'").getInt64();
}

/// The triggers wrote one row a change since `before`; this leaves one an assignment, older ones included. The new rows
/// are numbered on from `before` without a gap, because a gap tells a relay that it has missed something.
void condense_outbox(SQLite::Database& database, std::int64_t before) {
    const std::string from = std::to_string(before);
    database.exec("CREATE TEMP TABLE touched AS SELECT assignment_id, min(kind) AS kind FROM outbox WHERE seq > " +
                  from + " GROUP BY assignment_id");
    database.exec("DELETE FROM outbox WHERE seq > " + from +
                  " OR assignment_id IN (SELECT assignment_id FROM touched)");
    database.exec("DELETE FROM outbox WHERE seq NOT IN (SELECT max(seq) FROM outbox GROUP BY assignment_id)");
    database.exec("UPDATE sqlite_sequence SET seq = " + from + " WHERE name = 'outbox'");
    database.exec(
        "INSERT INTO outbox(kind, assignment_id) SELECT kind, assignment_id FROM touched ORDER BY assignment_id");
    database.exec("DROP TABLE temp.touched");
}

ImportCounts import_all(SQLite::Database& database, const ImportFiles& files, const Progress& progress) {
    create_schema(database);
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    const std::int64_t before = last_seq(database);
    ImportCounts counts;
    if (!files.assignments.empty()) counts.assignments = import_assignments(database, files.assignments, progress);
    if (!files.submissions.empty()) counts.submissions = import_submissions(database, files.submissions, progress);
    condense_outbox(database, before);
    transaction.commit();
    return counts;
}

}  // namespace

ImportCounts import_csv(const std::string& database_path, const ImportFiles& files, const Progress& progress) {
    try {
        SQLite::Database database(database_path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, busy_timeout_ms);
        return import_all(database, files, progress);
    } catch (const SQLite::Exception& error) {
        throw SourceError("cannot write the database " + database_path + " (" + error.what() +
                          "): check the path, the free space, and that no other program holds it");
    }
}

}  // namespace larder
