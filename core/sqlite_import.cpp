#include "core/sqlite_import.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include "core/schema.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

constexpr int busy_timeout_ms = 10'000;
constexpr const char* insert_assignment =
    "INSERT OR REPLACE INTO assignments(assignment_id, title, author_id, max_score, due_at, assigned_count, course, "
    "status, "
    "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr const char* insert_submission =
    "INSERT OR REPLACE INTO submissions(submission_id, assignment_id, student_id, status, score, max_score, is_late, "
    "submitted_at, graded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// One row of an insert statement, bound from left to right. Text is not copied.
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

template <class Write>
auto writing(const std::string& path, Write write) {
    try {
        return write();
    } catch (const SQLite::Exception& error) {
        throw SourceError("cannot write the database " + path + " (" + error.what() +
                          "): check the path, the free space, and that no other program holds it");
    }
}

}  // namespace

struct SqliteImport::Transaction {
    explicit Transaction(const std::string& path)
        : database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, busy_timeout_ms),
          begun(begin(database)),
          before(last_seq(database)),
          assignment(database, insert_assignment),
          submission(database, insert_submission) {}

    static SQLite::Transaction begin(SQLite::Database& database) {
        create_schema(database);
        return SQLite::Transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    }

    SQLite::Database database;
    SQLite::Transaction begun;
    std::int64_t before;
    SQLite::Statement assignment, submission;
};

SqliteImport::SqliteImport(std::string path)
    : path_(std::move(path)), transaction_(writing(path_, [&] { return std::make_unique<Transaction>(path_); })) {}

SqliteImport::~SqliteImport() = default;

void SqliteImport::put(const AssignmentRow& row) {
    writing(path_, [&] {
        Row values(transaction_->assignment);
        values << std::optional(row.id) << row.title << row.author_id << row.max_score << row.due_at
               << std::optional(row.assigned_count) << row.course << row.status << row.created_at;
        values.insert();
    });
}

void SqliteImport::put(const SubmissionRow& row) {
    writing(path_, [&] {
        Row values(transaction_->submission);
        values << std::optional(row.id) << std::optional(row.assignment_id) << row.student_id << row.status << row.score
               << row.max_score << std::optional<std::int64_t>(row.is_late) << row.submitted_at << row.graded_at;
        values.insert();
    });
}

std::unordered_set<AssignmentId> SqliteImport::known_assignments() {
    return writing(path_, [&] {
        std::unordered_set<AssignmentId> known;
        SQLite::Statement statement(transaction_->database, "SELECT assignment_id FROM assignments");
        while (statement.executeStep()) known.insert(statement.getColumn(0).getInt64());
        return known;
    });
}

void SqliteImport::commit() {
    writing(path_, [&] {
        condense_outbox(transaction_->database, transaction_->before);
        transaction_->begun.commit();
    });
}

}  // namespace larder
