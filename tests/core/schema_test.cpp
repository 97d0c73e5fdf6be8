#include "core/schema.hpp"

#include <catch2/catch.hpp>

#include "core/submission_source.hpp"
#include "tests/core/school.hpp"

using namespace larder;
using larder::test::School;

namespace {

using Ids = std::vector<std::int64_t>;

struct TwoAssignments : School {
    TwoAssignments() {
        add_assignment(1);
        add_assignment(2);
        add_score(10, 1, "90");
        add_score(11, 2, "50");
        take_outbox();
    }
    Ids changed_by(const std::string& statements) {
        sql(statements);
        return take_outbox();
    }
};

}  // namespace

TEST_CASE("every kind of write to a submission names its assignment") {
    TwoAssignments school;
    CHECK(school.changed_by("INSERT INTO submissions(submission_id, assignment_id) VALUES (12, 1)") == Ids{1});
    CHECK(school.changed_by("INSERT INTO submissions(assignment_id) VALUES (2)") == Ids{2});
    CHECK(school.changed_by("UPDATE submissions SET score = 55 WHERE submission_id = 10") == Ids{1});
    CHECK(school.changed_by("UPDATE submissions SET is_late = 1") == Ids{1, 2});
    CHECK(school.changed_by("DELETE FROM submissions WHERE submission_id = 11") == Ids{2});
}

TEST_CASE("a submission that moves names where it was and where it went") {
    TwoAssignments school;
    CHECK(school.changed_by("UPDATE submissions SET assignment_id = 2 WHERE submission_id = 10") == Ids{1, 2});
}

TEST_CASE("REPLACE names the assignment of the row that it removes") {
    TwoAssignments school;
    CHECK(school.changed_by("REPLACE INTO submissions(submission_id, assignment_id) VALUES (10, 2)") == Ids{1, 2});
    CHECK(school.changed_by("INSERT OR REPLACE INTO submissions(submission_id, assignment_id) VALUES (10, 2)") ==
          Ids{2});
    CHECK(school.changed_by("UPDATE OR REPLACE submissions SET submission_id = 11, assignment_id = 1 "
                            "WHERE submission_id = 10") == Ids{1, 2});
}

TEST_CASE("an update that replaces another submission names that one's assignment") {
    for (const std::string column : {"submission_id", "rowid", "_rowid_", "oid"}) {
        INFO(column);
        TwoAssignments school;
        school.add_assignment(3);
        school.add_score(12, 3, "1");
        school.take_outbox();
        CHECK(school.changed_by("UPDATE OR REPLACE submissions SET " + column + " = 12 WHERE submission_id = 10") ==
              Ids{1, 3});
    }
}

TEST_CASE("an upsert names both assignments") {
    TwoAssignments school;
    CHECK(school.changed_by("INSERT INTO submissions(submission_id, assignment_id) VALUES (10, 2) "
                            "ON CONFLICT(submission_id) DO UPDATE SET assignment_id = excluded.assignment_id") ==
          Ids{1, 2});
}

TEST_CASE("every kind of write to an assignment names it") {
    TwoAssignments school;
    CHECK(school.changed_by("INSERT INTO assignments(assignment_id) VALUES (3)") == Ids{3});
    CHECK(school.changed_by("REPLACE INTO assignments(assignment_id) VALUES (3)") == Ids{3});
    CHECK(school.changed_by("INSERT INTO assignments(assignment_id) VALUES (3) "
                            "ON CONFLICT(assignment_id) DO UPDATE SET title = 'x'") == Ids{3});
    for (const char* change :
         {"title = 'Report'", "due_at = '2024-01-01T00:00:00Z'", "max_score = 50", "assigned_count = 9",
          "author_id = 8", "course = 'C'", "status = 's'", "created_at = '2024-01-01T00:00:00Z'"}) {
        INFO(change);
        CHECK(school.changed_by(std::string("UPDATE assignments SET ") + change + " WHERE assignment_id = 2") ==
              Ids{2});
    }
    CHECK(school.changed_by("UPDATE assignments SET assignment_id = 4 WHERE assignment_id = 3") == Ids{3, 4});
    CHECK(school.changed_by("UPDATE OR REPLACE assignments SET assignment_id = 1 WHERE assignment_id = 4") ==
          Ids{1, 4});
    CHECK(school.changed_by("DELETE FROM assignments WHERE assignment_id = 2") == Ids{2});
}

TEST_CASE("a change that is rolled back leaves no row in the outbox, and no gap in its numbers") {
    TwoAssignments school;
    const auto before = school.number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'");
    CHECK(school.changed_by("BEGIN; DELETE FROM submissions; ROLLBACK").empty());
    CHECK(school.number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'") == before);
}

TEST_CASE("outbox rows say what changed and when") {
    TwoAssignments school;
    school.sql("UPDATE submissions SET score = 1 WHERE submission_id = 10");
    CHECK(school.text("SELECT kind FROM outbox") == "submission");
    CHECK(school.text("SELECT at FROM outbox") > "2020-01-01T00:00:00.000Z");
    school.take_outbox();
    school.sql("UPDATE assignments SET title = 'x' WHERE assignment_id = 1");
    CHECK(school.text("SELECT kind FROM outbox") == "assignment");
}

TEST_CASE("tables have exactly the columns of the import format, and one name alone says submission") {
    School school;
    CHECK(school.text("SELECT group_concat(name) FROM pragma_table_info('assignments')") ==
          "assignment_id,title,author_id,max_score,due_at,assigned_count,course,status,created_at");
    CHECK(school.text("SELECT group_concat(name) FROM pragma_table_info('submissions')") ==
          "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at");
    CHECK(school.text("SELECT group_concat(name) FROM pragma_table_info('outbox')") == "seq,kind,assignment_id,at");
    CHECK(
        school.text("SELECT group_concat(name) FROM sqlite_master WHERE type = 'table' AND name LIKE '%submission%'") ==
        "submissions");
    CHECK(school.text("PRAGMA journal_mode") == "wal");
    CHECK(school.number("PRAGMA user_version") == schema_version);
}

TEST_CASE("scores that are no numbers and courses too long for a tag are refused by the database") {
    TwoAssignments school;
    CHECK_THROWS(school.sql("UPDATE submissions SET score = 'good'"));
    CHECK_THROWS(school.sql("UPDATE submissions SET score = 9e999"));
    CHECK_THROWS(school.sql("UPDATE assignments SET max_score = 1e9"));
    CHECK_THROWS(school.sql("UPDATE assignments SET course = '" + std::string(250, 'c') + "'"));
    CHECK_NOTHROW(school.sql("UPDATE assignments SET course = '" + std::string(249, 'c') + "', max_score = '99.5'"));
}

TEST_CASE("making the schema again changes nothing") {
    TwoAssignments school;
    create_schema(school.database());
    CHECK(school.number("SELECT count(*) FROM submissions") == 2);
}

TEST_CASE("databases of other programs and newer schemas are refused") {
    const test::ScopedDirectory directory;
    SQLite::Database other(directory.file("other.db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE assignments(x)");
    CHECK_THROWS_AS(create_schema(other), SourceError);
    CHECK_THROWS_AS(check_schema(other, "other.db"), SourceError);

    School newer;
    newer.sql("PRAGMA user_version = 4");
    CHECK_THROWS_AS(create_schema(newer.database()), SourceError);
    CHECK_THROWS_AS(check_schema(newer.database(), newer.path()), SourceError);
}

TEST_CASE("tables of a service are made where they are not there, and refused where they are another program's") {
    for (const std::string table :
         {"CREATE TABLE Outbox(id INTEGER PRIMARY KEY, topic TEXT, payload BLOB)",
          "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, assignment_id INTEGER NOT NULL, at TEXT)",
          "CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, assignment_id INTEGER NOT "
          "NULL, "
          "at TEXT NOT NULL)",
          "CREATE VIEW outbox AS SELECT 1 AS seq, 2 AS kind, 3 AS assignment_id, 4 AS at",
          "CREATE TABLE warm_jobs(id INTEGER)"}) {
        INFO(table);
        SQLite::Database other(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        other.exec(table);
        CHECK_THROWS_WITH(service_tables_sql(other), Catch::Contains("give that table another name"));
        CHECK_THROWS_AS(check_outbox(other, "other.db"), SourceError);
        CHECK_THROWS_AS(check_warm_queue(other, "other.db"), SourceError);
    }
    SQLite::Database other(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    CHECK(missing_service_tables(other).size() == 3);
    CHECK_THROWS_WITH(check_outbox(other, "my other.db"),
                      Catch::Contains("`larder triggers --db 'my other.db' --install`"));
    for (int time = 0; time < 2; ++time) other.exec(service_tables_sql(other));
    CHECK(missing_service_tables(other).empty());
    CHECK_NOTHROW(check_outbox(other, "other.db"));
    CHECK_NOTHROW(check_warm_queue(other, "other.db"));
}

TEST_CASE("an older database can be read as it is, and is brought up to date with its rows") {
    TwoAssignments school;
    school.sql(
        "DROP TABLE warm_jobs; DROP TABLE warm_job_ids; DROP TRIGGER assignment_published_insert; "
        "DROP TRIGGER assignment_published_update; PRAGMA user_version = 2");
    CHECK_NOTHROW(check_schema(school.database(), school.path()));
    create_schema(school.database());
    CHECK(school.number("PRAGMA user_version") == schema_version);
    CHECK(school.number("SELECT count(*) FROM submissions") == 2);
    CHECK(school.number("SELECT count(*) FROM warm_jobs") == 0);
}

TEST_CASE("an assignment that becomes published says so once, beside its change") {
    TwoAssignments school;
    const auto published = [&school] {
        const std::int64_t count = school.number("SELECT count(*) FROM outbox WHERE kind = 'published'");
        school.take_outbox();
        return count;
    };
    school.sql("UPDATE assignments SET status = 'published' WHERE assignment_id = 1");
    CHECK(school.number("SELECT count(*) FROM outbox WHERE kind = 'assignment'") == 1);
    CHECK(published() == 1);
    school.sql("UPDATE assignments SET status = 'published', title = 'x' WHERE assignment_id = 1");
    CHECK(published() == 0);
    school.sql("INSERT INTO assignments(assignment_id, status) VALUES (3, 'published'), (4, 'draft')");
    CHECK(published() == 1);
}
