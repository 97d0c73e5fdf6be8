#include "core/sqlite_source.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <charconv>
#include <filesystem>

#include "core/file_identity.hpp"
#include "core/own_schema.hpp"
#include "core/schema.hpp"
#include "core/shell_word.hpp"
#include "core/trigger_check.hpp"

namespace larder {
namespace {

constexpr const char* select_assignment =
    "SELECT title, author_id, max_score, assigned_count, course FROM assignments WHERE assignment_id = ?";
constexpr const char* select_submissions =
    "SELECT status, score, max_score, is_late, submitted_at, graded_at FROM submissions WHERE assignment_id = ?";
constexpr const char* select_author = "SELECT author_id FROM assignments WHERE assignment_id = ?";
constexpr const char* select_recent =
    "SELECT assignment_id FROM assignments WHERE author_id = ? "
    "ORDER BY julianday(created_at) DESC, assignment_id DESC LIMIT ?";
constexpr const char* select_active =
    "SELECT DISTINCT assignment_id FROM submissions WHERE julianday(submitted_at) >= julianday(?1) OR "
    "julianday(graded_at) >= julianday(?1) ORDER BY assignment_id";
constexpr const char* select_ids = "SELECT assignment_id FROM assignments ORDER BY assignment_id";

/// A statement in use: bound by the caller, reset whatever happens, so that no read transaction outlives the call.
class Query {
public:
    explicit Query(SQLite::Statement& statement) : statement_(statement) {}
    ~Query() { statement_.tryReset(); }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    bool next() { return statement_.executeStep(); }
    SQLite::Column column(int index) { return statement_.getColumn(index); }

private:
    SQLite::Statement& statement_;
};

std::string_view text_of(const SQLite::Column& column) {
    const char* text = column.getText();
    return {text, static_cast<std::size_t>(column.getBytes())};
}

std::optional<std::string> optional_text(const SQLite::Column& column) {
    if (column.isNull()) return std::nullopt;
    return std::string(text_of(column));
}

std::optional<std::int64_t> optional_integer(const SQLite::Column& column) {
    if (column.isNull()) return std::nullopt;
    return column.getInt64();
}

/// A time that no one can read is one that is not known.
std::optional<Timestamp> optional_time(const SQLite::Column& column) {
    if (column.isNull()) return std::nullopt;
    return parse_timestamp(text_of(column));
}

/// Text is taken where it is a number as a whole, since SQLite would make 0 of all other text.
std::optional<Points> points_of(const SQLite::Column& column) {
    if (column.isInteger() || column.isFloat()) return points_from(column.getDouble());
    const std::string_view text = text_of(column);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return points_from(value);
}

std::optional<Points> optional_points(const SQLite::Column& column, AssignmentId id) {
    if (column.isNull()) return std::nullopt;
    const std::optional<Points> points = points_of(column);
    if (!points)
        throw SourceError(std::string("the ") + column.getName() + " `" + std::string(text_of(column).substr(0, 64)) +
                          "` in assignment " + std::to_string(id) +
                          " is not a number below 1e9: correct that row, or let it be NULL");
    return points;
}

std::optional<Assignment> read_assignment(SQLite::Statement& statement, AssignmentId id) {
    statement.bind(1, static_cast<std::int64_t>(id));
    Query query(statement);
    if (!query.next()) return std::nullopt;
    Assignment assignment;
    assignment.id = id;
    assignment.title = optional_text(query.column(0));
    assignment.author_id = optional_integer(query.column(1));
    assignment.max_score = optional_points(query.column(2), id);
    assignment.assigned_count = query.column(3).getInt64();
    assignment.course = optional_text(query.column(4));
    return assignment;
}

std::vector<Submission> read_submissions(SQLite::Statement& statement, AssignmentId id) {
    statement.bind(1, static_cast<std::int64_t>(id));
    Query query(statement);
    std::vector<Submission> submissions;
    while (query.next()) {
        Submission& submission = submissions.emplace_back();
        submission.graded = text_of(query.column(0)) == "graded";
        submission.score = optional_points(query.column(1), id);
        submission.max_score = optional_points(query.column(2), id);
        submission.late = query.column(3).getInt64() != 0;
        submission.submitted_at = optional_time(query.column(4));
        submission.graded_at = optional_time(query.column(5));
    }
    return submissions;
}

std::vector<AssignmentId> read_ids(SQLite::Statement& statement) {
    Query query(statement);
    std::vector<AssignmentId> ids;
    while (query.next()) ids.push_back(query.column(0).getInt64());
    return ids;
}

SQLite::Database open_database(const std::string& path) {
    try {
        return SQLite::Database(path, SQLite::OPEN_READWRITE, SqliteSource::busy_timeout_ms);
    } catch (const SQLite::Exception& error) {
        throw SourceUnavailable("cannot open the database " + path + " (" + error.what() +
                                "): name an existing file, or make one with `larder import`");
    }
}

}  // namespace

struct SqliteSource::Connection {
    Connection(const std::string& name, const OwnSchema* schema)
        : path(name),
          file(file_identity(name)),
          database(open_database(name)),
          checked(check(database, name, schema)),
          assignment(database, select_assignment),
          submissions(database, select_submissions),
          author(database, select_author),
          recent(database, select_recent),
          active(database, select_active),
          ids(database, select_ids) {}

    static bool check(SQLite::Database& database, const std::string& path, const OwnSchema* schema) {
        if (schema != nullptr)
            schema->apply(database);
        else
            check_schema(database, path);
        database.exec("PRAGMA query_only = 1");
        return true;
    }

    /// A read inside somebody's older transaction would see its snapshot, from before the caller's stamp.
    void require_no_transaction() {
        if (sqlite3_txn_state(database.getHandle(), nullptr) != SQLITE_TXN_NONE)
            throw SourceError("a read of " + path +
                              " began inside another transaction: give each thread its own source");
    }

    std::string path;
    std::string file;
    SQLite::Database database;
    bool checked;  // before the statements below are prepared
    SQLite::Statement assignment, submissions, author, recent, active, ids;
};

namespace {

std::string remedy_for(const SQLite::Exception& error) {
    switch (error.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "a writer has kept it for long; try again when it is done";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return "make it and its directory readable and writable for this user";
    case SQLITE_ERROR:
        return "check that its tables, or the views of --schema, have this";
    default:
        return "check that it is a whole SQLite file";
    }
}

/// What is damaged, or asks for what is not there, may be one assignment alone.
bool is_of_whole_file(const SQLite::Exception& error) {
    const int code = error.getErrorCode();
    return code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_CANTOPEN;
}

template <class Read>
auto reading(const std::string& path, Read read) {
    try {
        return read();
    } catch (const SQLite::Exception& error) {
        const std::string text = "cannot read the database " + path + " (" + error.what() + "): " + remedy_for(error);
        if (is_of_whole_file(error)) throw SourceUnavailable(text);
        throw SourceError(text);
    }
}

}  // namespace

SqliteSource::SqliteSource(const std::string& path, const OwnSchema* schema)
    : connection_(reading(path, [&] { return std::make_unique<Connection>(path, schema); })) {}

SqliteSource::~SqliteSource() = default;

std::optional<AssignmentRecord> SqliteSource::load(AssignmentId id) {
    return reading(connection_->path, [&]() -> std::optional<AssignmentRecord> {
        connection_->require_no_transaction();
        SQLite::Transaction snapshot(connection_->database, SQLite::TransactionBehavior::DEFERRED);
        std::optional<Assignment> assignment = read_assignment(connection_->assignment, id);
        if (!assignment) return std::nullopt;
        AssignmentRecord record{std::move(*assignment), read_submissions(connection_->submissions, id)};
        snapshot.commit();
        return record;
    });
}

std::optional<Ownership> SqliteSource::ownership(AssignmentId id) {
    return reading(connection_->path, [&]() -> std::optional<Ownership> {
        connection_->require_no_transaction();
        connection_->author.bind(1, static_cast<std::int64_t>(id));
        Query query(connection_->author);
        if (!query.next()) return std::nullopt;
        return Ownership{optional_integer(query.column(0))};
    });
}

std::vector<AssignmentId> SqliteSource::recent_of_author(UserId author_id, int limit) {
    return reading(connection_->path, [&] {
        connection_->recent.bind(1, static_cast<std::int64_t>(author_id));
        connection_->recent.bind(2, limit);
        return read_ids(connection_->recent);
    });
}

std::vector<AssignmentId> SqliteSource::all_ids() {
    return reading(connection_->path, [&] { return read_ids(connection_->ids); });
}

std::vector<AssignmentId> SqliteSource::active_since(Timestamp time) {
    return reading(connection_->path, [&] {
        connection_->active.bind(1, to_iso8601(time));
        return read_ids(connection_->active);
    });
}

bool SqliteSource::is_current() const { return file_identity(connection_->path) == connection_->file; }

std::string sqlite_path(const std::string& url) {
    const std::size_t scheme_end = url.find("://");
    const bool is_sqlite = url.starts_with("sqlite:");
    if (!is_sqlite && scheme_end != std::string::npos)
        throw SourceError("cannot open " + url.substr(0, scheme_end) + " databases: name a SQLite file");
    std::string path = url;
    if (is_sqlite) path = url.substr(url.starts_with("sqlite://") ? 9 : 7);
    if (path.empty()) throw SourceError("no database is named: give the path of a SQLite file");
    return path;
}

std::unique_ptr<SubmissionSource> open_source(const std::string& url, const OwnSchema* schema) {
    return std::make_unique<SqliteSource>(sqlite_path(url), schema);
}

std::vector<std::string> unwatched_tables(const std::string& url, const OwnSchema& schema) {
    const std::string path = sqlite_path(url);
    return reading(path, [&] {
        SQLite::Database database = open_database(path);
        schema.apply(database);
        const std::vector<std::string> missing = missing_service_tables(database);
        std::vector<std::string> findings = schema.unwatched(database);
        if (findings.empty() && !missing.empty())  // else the commands that they name make these tables, too
            findings.push_back("the database has no table " + missing.front() + ": run `larder triggers --db " +
                               shell_word(path) + " --install`");
        return findings;
    });
}

bool announces_publications(const std::string& url) {
    const std::string path = sqlite_path(url);
    return reading(path, [&] {
        SQLite::Database database = open_database(path);
        return announces_publications(database);
    });
}

std::string database_identity(const std::string& url, const OwnSchema* schema) {
    std::error_code error;
    const std::filesystem::path path =
        std::filesystem::weakly_canonical(std::filesystem::absolute(sqlite_path(url)), error);
    if (error)
        throw SourceError("cannot resolve the path " + url + " (" + error.message() + "): check its directories");
    return schema == nullptr ? path.string() : path.string() + " by views " + schema->identity();
}

}  // namespace larder
