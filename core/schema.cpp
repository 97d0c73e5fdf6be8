#include "core/schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

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
CREATE TABLE outbox(
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL,
    assignment_id INTEGER NOT NULL,
    at            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX submissions_by_assignment ON submissions(assignment_id);
CREATE INDEX assignments_by_author ON assignments(author_id);
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
    if (version != 0 || has_tables(database))
        throw SourceError("the database " + database.getFilename() +
                          " belongs to another program: import into a new file instead");
    database.exec(tables);
    database.exec(triggers);
    database.exec("PRAGMA user_version = " + std::to_string(schema_version));
    transaction.commit();
}

}  // namespace

void create_schema(SQLite::Database& database) {
    if (version_of(database) != schema_version) create_tables(database);
    database.exec("PRAGMA journal_mode = WAL");
}

void check_schema(SQLite::Database& database, const std::string& path) {
    const int version = version_of(database);
    if (version == schema_version) return;
    throw SourceError("the database " + path + " has schema " + std::to_string(version) + ", not " +
                      std::to_string(schema_version) + ": fill a database of this version with `larder import`");
}

}  // namespace larder
