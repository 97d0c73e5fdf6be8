// A database of another program: its own tables, seen through views, announced by generated triggers.
#include "core/own_schema.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>

#include "core/change_triggers.hpp"
#include "core/schema.hpp"
#include "core/sqlite_source.hpp"
#include "core/warm_queue.hpp"
#include "tests/core/school.hpp"

using namespace larder;
using test::ScopedDirectory;
using test::write_file;

namespace {

constexpr const char* tables = R"sql(
CREATE TABLE tasks(id INTEGER PRIMARY KEY, name TEXT, teacher INTEGER, points REAL);
CREATE TABLE grades(task_id INTEGER, pupil INTEGER, mark REAL, late INTEGER, PRIMARY KEY (task_id, pupil));
INSERT INTO tasks VALUES (1, 'Essay', 7, 100), (2, 'Lab', 8, 50);
INSERT INTO grades VALUES (1, 1, 80, 0), (1, 2, 90, 1), (2, 1, 50, 0);
)sql";

constexpr const char* views = R"sql(
-- Our tasks and grades, as assignments and submissions.
CREATE TEMP VIEW assignments AS
    SELECT id AS assignment_id, name AS title, teacher AS author_id, points AS max_score, 30 AS assigned_count,
           NULL AS course, NULL AS created_at FROM tasks;
CREATE TEMP VIEW submissions AS
    SELECT task_id AS assignment_id, 'graded' AS status, mark AS score, points AS max_score, late AS is_late,
           NULL AS submitted_at, NULL AS graded_at FROM grades JOIN tasks ON tasks.id = grades.task_id;
)sql";

class Foreign {
public:
    Foreign() : database_(path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000) { sql(tables); }
    std::string path() const { return directory_.file("other.db"); }
    void sql(const std::string& statements) { database_.exec(statements); }
    OwnSchema schema(const std::string& statements = views) const {
        return OwnSchema::from_file(write_file(directory_, "views.sql", statements));
    }
    void watch(const std::string& table, const std::string& column) {
        sql(service_tables_sql(database_) + change_triggers_sql(database_, {table, column}));
    }
    void watch_all() {
        watch("tasks", "id");
        watch("grades", "task_id");
        take_outbox();
    }
    std::vector<std::int64_t> take_outbox() { return test::take_outbox(database_); }
    std::vector<std::int64_t> changed_by(const std::string& statements) {
        sql(statements);
        return take_outbox();
    }
    SQLite::Database& database() { return database_; }
    const ScopedDirectory& directory() const { return directory_; }

private:
    ScopedDirectory directory_;
    SQLite::Database database_;
};

using Ids = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("assignments and submissions of another program are read through its views") {
    const Foreign foreign;
    const OwnSchema schema = foreign.schema();
    SqliteSource source(foreign.path(), &schema);
    const auto record = source.load(1);
    REQUIRE(record);
    CHECK(record->assignment.title == "Essay");
    CHECK(record->assignment.author_id == 7);
    CHECK(record->assignment.assigned_count == 30);
    CHECK(record->submissions.size() == 2);
    CHECK(record->submissions[1].late);
    CHECK(source.ownership(2)->author_id == 8);
    CHECK_FALSE(source.load(3));
    CHECK(source.all_ids() == Ids{1, 2});
    CHECK(source.recent_of_author(7, 10) == Ids{1});
}

TEST_CASE("the views live in the connection alone") {
    Foreign foreign;
    const OwnSchema schema = foreign.schema();
    { const SqliteSource source(foreign.path(), &schema); }
    CHECK(foreign.database().execAndGet("SELECT count(*) FROM sqlite_master WHERE type = 'view'").getInt() == 0);
}

TEST_CASE("a schema does nothing but make views, whatever is in it") {
    Foreign foreign;
    for (const std::string& statement :
         {std::string("CREATE VIEW assignments AS SELECT 1"), std::string("DELETE FROM grades"),
          std::string("CREATE TABLE x(y)"), std::string("ATTACH 'x.db' AS x"), std::string("PRAGMA journal_mode = OFF"),
          std::string("DROP TABLE tasks"), std::string("INSERT INTO tasks(id) VALUES (9)")}) {
        INFO(statement);
        const OwnSchema schema = foreign.schema(statement);
        CHECK_THROWS_WITH(SqliteSource(foreign.path(), &schema), Catch::Contains("nothing but CREATE TEMP VIEW"));
    }
    CHECK(foreign.database().execAndGet("SELECT count(*) FROM grades").getInt() == 3);
}

TEST_CASE("what a schema lacks is said by name") {
    Foreign foreign;
    const OwnSchema half = foreign.schema("CREATE TEMP VIEW assignments AS SELECT 1 AS assignment_id");
    CHECK_THROWS_WITH(SqliteSource(foreign.path(), &half), Catch::Contains("makes no view submissions"));
    const OwnSchema poor = foreign.schema(
        "CREATE TEMP VIEW assignments AS SELECT 1 AS assignment_id; CREATE TEMP VIEW submissions AS SELECT 1 AS x");
    CHECK_THROWS_WITH(SqliteSource(foreign.path(), &poor), Catch::Contains("no such column"));
    const OwnSchema wrong = foreign.schema("CREATE TEMP VIEW assignments AS SELECT");
    CHECK_THROWS_WITH(SqliteSource(foreign.path(), &wrong), Catch::Contains("views.sql"));
    CHECK_THROWS_WITH(OwnSchema::from_file("/nowhere/views.sql"), Catch::Contains("/nowhere/views.sql"));
}

TEST_CASE("two ways of reading one database are two identities") {
    const Foreign foreign;
    const OwnSchema one = foreign.schema(), other = foreign.schema(std::string(views) + " -- changed");
    CHECK(database_identity(foreign.path(), &one) != database_identity(foreign.path(), &other));
    CHECK(database_identity(foreign.path(), &one) != database_identity(foreign.path()));
}

TEST_CASE("tables behind the views whose changes nobody is told of are named, with what to do") {
    Foreign foreign;
    const OwnSchema schema = foreign.schema();
    auto findings = unwatched_tables(foreign.path(), schema);
    REQUIRE(findings.size() == 2);
    CHECK(findings[0].find("larder triggers --table grades --assignment-column COLUMN --install") != std::string::npos);
    foreign.watch("grades", "task_id");
    findings = unwatched_tables(foreign.path(), schema);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].find("table tasks (INSERT, UPDATE, DELETE)") != std::string::npos);
    foreign.watch("tasks", "id");
    CHECK(unwatched_tables(foreign.path(), schema).empty());
    foreign.sql("DROP TRIGGER larder_tasks_delete");
    findings = unwatched_tables(foreign.path(), schema);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].find("(DELETE)") != std::string::npos);
}

TEST_CASE("generated triggers name every assignment that a write concerns") {
    Foreign foreign;
    foreign.watch_all();
    CHECK(foreign.changed_by("INSERT INTO grades VALUES (2, 2, 40, 0)") == Ids{2});
    CHECK(foreign.changed_by("UPDATE grades SET mark = 41 WHERE task_id = 2") == Ids{2});
    CHECK(foreign.changed_by("UPDATE grades SET task_id = 1, pupil = 3 WHERE task_id = 2 AND pupil = 2") == Ids{1, 2});
    CHECK(foreign.changed_by("DELETE FROM grades WHERE task_id = 1 AND pupil = 3") == Ids{1});
    CHECK(foreign.changed_by("INSERT INTO grades(pupil, mark) VALUES (5, 1)").empty());
    CHECK(foreign.changed_by("UPDATE tasks SET name = 'x' WHERE id = 1") == Ids{1});
    CHECK(foreign.changed_by("UPDATE tasks SET id = 5 WHERE id = 2") == Ids{2, 5});
    CHECK(foreign.changed_by("DELETE FROM tasks WHERE id = 5") == Ids{5});
}

TEST_CASE("generated triggers name the row that REPLACE removes, by any of its keys") {
    Foreign foreign;
    foreign.sql(
        "CREATE TABLE marks(id INTEGER PRIMARY KEY, task INTEGER, slip TEXT UNIQUE);"
        "INSERT INTO marks VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
    foreign.watch("marks", "task");
    foreign.take_outbox();
    CHECK(foreign.changed_by("REPLACE INTO marks VALUES (1, 9, 'a')") == Ids{1, 9});
    CHECK(foreign.changed_by("REPLACE INTO marks VALUES (4, 8, 'b')") == Ids{2, 8});
    CHECK(foreign.changed_by("UPDATE OR REPLACE marks SET slip = 'c' WHERE id = 4") == Ids{3, 8});
    foreign.sql("CREATE TABLE loose(task INTEGER)");
    foreign.watch("loose", "task");
    CHECK(foreign.changed_by("INSERT INTO loose(rowid, task) VALUES (1, 1)") == Ids{1});
    CHECK(foreign.changed_by("REPLACE INTO loose(rowid, task) VALUES (1, 2)") == Ids{1, 2});
}

TEST_CASE("names that need quotes, and triggers that are made again") {
    Foreign foreign;
    foreign.sql("CREATE TABLE \"my \"\"grades\"\" table\"(\"the task\" INTEGER)");
    for (int time = 0; time < 2; ++time) foreign.watch("my \"grades\" table", "the task");
    foreign.take_outbox();
    CHECK(foreign.changed_by("INSERT INTO \"my \"\"grades\"\" table\" VALUES (4)") == Ids{4});
    CHECK_THROWS_WITH(change_triggers_sql(foreign.database(), {"nothing", "id"}), Catch::Contains("no table nothing"));
    CHECK_THROWS_WITH(change_triggers_sql(foreign.database(), {"tasks", "nothing"}),
                      Catch::Contains("no column nothing"));
}

TEST_CASE("the queue of warming jobs lies in another program's database, too, once its table is there") {
    Foreign foreign;
    const std::vector<AssignmentId> ids{1, 2};
    CHECK_THROWS_AS(WarmQueue(foreign.path(), "here").push(ids, 10), SourceError);
    foreign.sql(service_tables_sql(foreign.database()));
    WarmQueue queue(foreign.path(), "here");
    CHECK(queue.push(ids, 10));
    CHECK(queue.take_turn(1)->ids.size() == 2);
}
