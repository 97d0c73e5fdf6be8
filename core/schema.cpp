#include "core/schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

#include "core/shell_word.hpp"
#include "core/submission_source.hpp"

namespace larder {
namespace {

// Times are ISO 8601 text as imported. A score is an INTEGER or a REAL, which is exact to four places below 1e9. A
// course is at most 249 bytes, because `course:` and its name make a tag.
constexpr const char* tables = R"sql(
CREATE TABLE assignments(
    assignment_id  INTEGER PRIMARY KEY,
    title          TEXT,
    author_id      INTEGER,
    max_score      NUMERIC
        CHECK (max_score IS NULL OR (typeof(max_score) IN ('integer', 'real') AND abs(max_score) < 1e9)),
    due_at         TEXT,
    assigned_count INTEGER DEFAULT 0,
    course         TEXT CHECK (course IS NULL OR length(CAST(course AS BLOB)) <= 249),
    status         TEXT,
    created_at     TEXT
);
CREATE TABLE submissions(
    submission_id  INTEGER PRIMARY KEY,
    assignment_id  INTEGER NOT NULL,
    student_id     INTEGER,
    status         TEXT,
    score          NUMERIC
        CHECK (score IS NULL OR (typeof(score) IN ('integer', 'real') AND abs(score) < 1e9)),
    max_score      NUMERIC
        CHECK (max_score IS NULL OR (typeof(max_score) IN ('integer', 'real') AND abs(max_score) < 1e9)),
    is_late        INTEGER DEFAULT 0,
    submitted_at   TEXT,
    graded_at      TEXT
);
CREATE INDEX submissions_by_assignment ON submissions(assignment_id);
CREATE INDEX assignments_by_author ON assignments(author_id);
)sql";

constexpr const char* outbox_table = R"sql(
CREATE TABLE IF NOT EXISTS outbox(
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL,
    assignment_id INTEGER NOT NULL,
    at            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
)sql";

// A job's ids go when it has ended. `runner` is whoever works at it now, and `heartbeat_ms` when it last said so. The
// cache comes last, where add_cache_of_jobs puts it.
constexpr const char* warming_tables = R"sql(
CREATE TABLE IF NOT EXISTS warm_jobs(
    job_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_size   INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    position     INTEGER NOT NULL DEFAULT 0,
    in_turn      INTEGER NOT NULL DEFAULT 0,
    warmed       INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    turns        INTEGER NOT NULL DEFAULT 0,
    runner       INTEGER,
    heartbeat_ms INTEGER NOT NULL DEFAULT 0,
    created_ms   INTEGER NOT NULL,
    started_ms   INTEGER,
    finished_ms  INTEGER,
    cache        TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS warm_job_ids(
    job_id        INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    assignment_id INTEGER NOT NULL,
    PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS warm_jobs_open ON warm_jobs(turns, job_id) WHERE finished_ms IS NULL;
)sql";

// REPLACE, in an insert or an update, removes the row in its way without firing a delete trigger: the BEFORE triggers
// look that row up and name its assignment. An update that moves a row names where it was and where it went. Triggers
// are of all columns, since one of submission_id would not see the same column under its name `rowid`.
constexpr const char* triggers = R"sql(
CREATE TRIGGER submission_before_insert BEFORE INSERT ON submissions BEGIN
    INSERT INTO outbox(kind, assignment_id) SELECT 'submission', assignment_id FROM submissions
        WHERE submission_id = NEW.submission_id AND assignment_id IS NOT NEW.assignment_id;
END;
CREATE TRIGGER submission_after_insert AFTER INSERT ON submissions BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('submission', NEW.assignment_id);
END;
CREATE TRIGGER submission_before_update BEFORE UPDATE ON submissions
    WHEN NEW.submission_id IS NOT OLD.submission_id BEGIN
    INSERT INTO outbox(kind, assignment_id) SELECT 'submission', assignment_id FROM submissions
        WHERE submission_id = NEW.submission_id;
END;
CREATE TRIGGER submission_after_update AFTER UPDATE ON submissions BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('submission', NEW.assignment_id);
    INSERT INTO outbox(kind, assignment_id) SELECT 'submission', OLD.assignment_id
        WHERE OLD.assignment_id IS NOT NEW.assignment_id;
END;
CREATE TRIGGER submission_after_delete AFTER DELETE ON submissions BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('submission', OLD.assignment_id);
END;
CREATE TRIGGER assignment_after_insert AFTER INSERT ON assignments BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('assignment', NEW.assignment_id);
END;
CREATE TRIGGER assignment_after_update AFTER UPDATE ON assignments BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('assignment', NEW.assignment_id);
    INSERT INTO outbox(kind, assignment_id) SELECT 'assignment', OLD.assignment_id
        WHERE OLD.assignment_id IS NOT NEW.assignment_id;
END;
CREATE TRIGGER assignment_after_delete AFTER DELETE ON assignments BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('assignment', OLD.assignment_id);
END;
)sql";

// Since version 3.
constexpr const char* publication = R"sql(
CREATE TRIGGER assignment_published_insert AFTER INSERT ON assignments WHEN NEW.status = 'published' BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('published', NEW.assignment_id);
END;
CREATE TRIGGER assignment_published_update AFTER UPDATE ON assignments
    WHEN NEW.status = 'published' AND OLD.status IS NOT 'published' BEGIN
    INSERT INTO outbox(kind, assignment_id) VALUES ('published', NEW.assignment_id);
END;
)sql";

constexpr const char* service_tables[] = {"outbox", "warm_jobs", "warm_job_ids"};

/// Of a table, as an INSERT meets them: names, which must be given, the key, and whether its numbers are never used
/// again; without what add_cache_of_jobs adds. Empty: there is no such table.
std::string columns_of(SQLite::Database& database, const std::string& table) {
    SQLite::Statement columns(
        database,
        "SELECT group_concat(lower(name) || CASE WHEN pk > 0 THEN ' key' WHEN \"notnull\" AND dflt_value IS NULL "
        "THEN ' required' ELSE '' END, ', ') || coalesce((SELECT '; autoincrement' FROM main.sqlite_master WHERE name "
        "= "
        "?1 COLLATE NOCASE AND sql LIKE '%autoincrement%'), '') FROM pragma_table_xinfo(?1, 'main') "
        "WHERE NOT (?1 = 'warm_jobs' AND name = 'cache')");
    columns.bind(1, table);
    return columns.executeStep() && !columns.isColumnNull(0) ? columns.getColumn(0).getString() : std::string();
}

[[noreturn]] void throw_without(const std::string& table, const std::string& path) {
    throw SourceError("the database " + path + " has no table " + table + ": run `larder triggers --db " +
                      shell_word(path) +
                      " --install`, which makes it in a database of another program, or fill one of "
                      "ours with `larder import`");
}

int version_of(SQLite::Database& database) { return database.execAndGet("PRAGMA user_version").getInt(); }

bool has_tables(SQLite::Database& database) {
    return database.execAndGet("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
               .getInt() > 0;
}

// One transaction: a program that finds the version finds the triggers too.
void create_tables(SQLite::Database& database) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    const int version = version_of(database);
    if (version == schema_version) return;
    if (version > schema_version)
        throw SourceError("the database " + database.getFilename() + " has schema " + std::to_string(version) +
                          ", newer than this program knows: use a newer Larder");
    if (version < oldest_schema_version) {
        if (version != 0 || has_tables(database))
            throw SourceError("the database " + database.getFilename() +
                              " belongs to another program: import into a new file instead");
        database.exec(tables);
        database.exec(outbox_table);
        database.exec(triggers);
    }
    database.exec(warming_tables);
    database.exec(publication);
    database.exec("PRAGMA user_version = " + std::to_string(schema_version));
    transaction.commit();
}

// A queue that an older program made: its jobs belong to no cache. Such a program goes on using the table.
void add_cache_of_jobs(SQLite::Database& database) {
    const auto is_there = [&database] {
        return database.execAndGet("SELECT count(*) FROM pragma_table_info('warm_jobs') WHERE name = 'cache'")
                   .getInt() != 0;
    };
    if (is_there()) return;
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    if (is_there()) return;
    database.exec("ALTER TABLE warm_jobs ADD COLUMN cache TEXT NOT NULL DEFAULT ''");
    transaction.commit();
}

}  // namespace

void create_schema(SQLite::Database& database) {
    if (version_of(database) != schema_version) create_tables(database);
    database.exec("PRAGMA journal_mode = WAL");
}

std::vector<std::string> missing_service_tables(SQLite::Database& database) {
    SQLite::Database ours(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    ours.exec(outbox_table);
    ours.exec(warming_tables);
    std::vector<std::string> missing;
    for (const char* table : service_tables) {
        const std::string needed = columns_of(ours, table), found = columns_of(database, table);
        if (found.empty()) missing.emplace_back(table);
        if (!found.empty() && found != needed)
            throw SourceError("the database " + database.getFilename() + " has a table " + table + " of its own (" +
                              found + "), a name that Larder needs for its own one (" + needed +
                              "): give that table another name");
    }
    return missing;
}

std::string service_tables_sql(SQLite::Database& database) {
    static_cast<void>(missing_service_tables(database));
    return std::string(outbox_table).substr(1) + std::string(warming_tables).substr(1);
}

void check_outbox(SQLite::Database& database, const std::string& path) {
    const std::vector<std::string> missing = missing_service_tables(database);
    if (std::find(missing.begin(), missing.end(), "outbox") != missing.end()) throw_without("outbox", path);
}

void check_warm_queue(SQLite::Database& database, const std::string& path) {
    const std::vector<std::string> missing = missing_service_tables(database);
    if (missing.empty()) return add_cache_of_jobs(database);
    if (version_of(database) < oldest_schema_version) throw_without(missing.front(), path);
    create_schema(database);
}

void check_schema(SQLite::Database& database, const std::string& path) {
    const int version = version_of(database);
    if (version >= oldest_schema_version && version <= schema_version) return;
    throw SourceError("the database " + path + " has schema " + std::to_string(version) + ", not " +
                      std::to_string(schema_version) + ": fill a database of this version with `larder import`");
}

}  // namespace larder
