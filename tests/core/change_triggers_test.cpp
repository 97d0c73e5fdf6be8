// The triggers that are made for a table of another program: they name every assignment that a write concerns.
#include "core/change_triggers.hpp"

#include <catch2/catch.hpp>
#include <regex>

#include "core/submission_source.hpp"
#include "tests/core/foreign.hpp"

using namespace larder;
using test::Foreign;

namespace {

using Ids = std::vector<std::int64_t>;

/// A table `marks` with a `task`, watched, of three tasks.
struct Marks : Foreign {
    Marks(const std::string& definition, const std::string& rows) {
        sql(definition + "; INSERT INTO marks" + rows);
        watch("marks", "task");
        take_outbox();
    }
};

}  // namespace

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

TEST_CASE("REPLACE removes what the index takes for the same, whatever the column's own collation") {
    for (const std::string definition :
         {"CREATE TABLE marks(id INTEGER PRIMARY KEY, slip TEXT, task INTEGER); CREATE UNIQUE INDEX one ON marks(slip "
          "COLLATE NOCASE)",
          "CREATE TABLE marks(id INTEGER PRIMARY KEY, slip TEXT UNIQUE COLLATE NOCASE, task INTEGER)",
          "CREATE TABLE marks(id INTEGER, slip TEXT, task INTEGER, PRIMARY KEY (slip COLLATE NOCASE))",
          "CREATE TABLE marks(id INTEGER, slip TEXT, task INTEGER, PRIMARY KEY (slip COLLATE NOCASE)) WITHOUT ROWID"}) {
        INFO(definition);
        Marks marks(definition, " VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)");
        CHECK(marks.changed_by("REPLACE INTO marks VALUES (4, 'A', 9)") == Ids{1, 9});
        CHECK(marks.changed_by("UPDATE OR REPLACE marks SET slip = 'C' WHERE id = 2") == Ids{2, 3});
        CHECK(marks.changed_by("INSERT INTO marks VALUES (5, 'd', 5)") == Ids{5});
    }
}

TEST_CASE("a key that tells more rows apart than its column does names the row that goes") {
    Marks marks(
        "CREATE TABLE marks(slip TEXT COLLATE NOCASE, task INTEGER, PRIMARY KEY (slip COLLATE BINARY)) WITHOUT ROWID",
        " VALUES ('a', 1), ('A', 2)");
    CHECK(marks.changed_by("UPDATE OR REPLACE marks SET slip = 'A' WHERE slip = 'a' COLLATE BINARY") == Ids{1, 2});
}

TEST_CASE("REPLACE by the number of a row names the row, under any name that is left to it") {
    Marks marks("CREATE TABLE marks(rowid TEXT PRIMARY KEY, task INTEGER)",
                "(_rowid_, rowid, task) VALUES (1, 'x', 1), (2, 'y', 2)");
    CHECK(marks.changed_by("REPLACE INTO marks(oid, rowid, task) VALUES (1, 'z', 9)") == Ids{1, 9});
    CHECK(marks.changed_by("UPDATE OR REPLACE marks SET _rowid_ = 2 WHERE rowid = 'z'") == Ids{2, 9});
    marks.sql("CREATE TABLE nameless(rowid, _rowid_, OID, task)");
    CHECK_THROWS_WITH(change_triggers(marks.database(), {"nameless", "task"}), Catch::Contains("rename one of them"));
}

TEST_CASE("a partial index names the rows that it is on, by looking them up in it") {
    Marks marks(
        "CREATE TABLE marks(id INTEGER PRIMARY KEY, slip TEXT, valid INTEGER, task INTEGER);"
        "CREATE UNIQUE INDEX \"where\" ON marks(slip /* ) WHERE */) wHeRe valid AND slip <> ')' -- at last\n",
        " VALUES (1, 'a', 1, 1), (2, 'b', 1, 2), (3, 'a', 0, 3)");
    CHECK(marks.changed_by("REPLACE INTO marks VALUES (4, 'a', 1, 9)") == Ids{1, 9});
    CHECK(marks.changed_by("UPDATE OR REPLACE marks SET slip = 'b' WHERE id = 4") == Ids{2, 9});
    const ChangeTrigger replace = change_triggers(marks.database(), {"marks", "task"}).at(3);
    CHECK(replace.name == "larder_marks_replace");
    std::string lookup = replace.sql.substr(replace.sql.find("SELECT 'change'"));
    lookup = lookup.substr(0, lookup.find(';'));
    lookup = std::regex_replace(lookup, std::regex("NEW\\.\"[a-z]+\""), "?1");
    SQLite::Statement plan(marks.database(), "EXPLAIN QUERY PLAN " + lookup);
    while (plan.executeStep()) CHECK_THAT(plan.getColumn(3).getString(), !Catch::StartsWith("SCAN"));
}

TEST_CASE("generated columns are found as a key and as the assignment's column") {
    Marks marks(
        "CREATE TABLE marks(id INTEGER PRIMARY KEY, slip TEXT, lowered TEXT AS (lower(slip)) UNIQUE, code TEXT, "
        "task INTEGER AS (substr(code, 2) + 0) STORED)",
        "(id, slip, code) VALUES (1, 'a', 't1'), (2, 'b', 't2')");
    CHECK(marks.changed_by("REPLACE INTO marks(id, slip, code) VALUES (3, 'A', 't9')") == Ids{1, 9});
    CHECK(marks.changed_by("UPDATE marks SET code = 't8' WHERE id = 3") == Ids{8, 9});
    CHECK(marks.changed_by("DELETE FROM marks WHERE id = 2") == Ids{2});
}

TEST_CASE("a unique index on an expression is refused by its name, with what to do") {
    Foreign foreign;
    foreign.sql("CREATE UNIQUE INDEX one_name ON tasks(teacher, lower(name))");
    CHECK_THROWS_WITH(change_triggers(foreign.database(), {"tasks", "id"}),
                      Catch::Contains("index one_name of the table tasks") && Catch::Contains("generated column"));
}

TEST_CASE("names are found as the database finds them, and spelled as it spells them") {
    Foreign foreign;
    foreign.watch("TASKS", "ID");
    CHECK(change_triggers(foreign.database(), {"Tasks", "Id"}).front().name == "larder_tasks_insert");
    foreign.take_outbox();
    CHECK(foreign.changed_by("UPDATE tasks SET name = 'x' WHERE id = 2") == Ids{2});
}

TEST_CASE("REPLACE puts a column's default in the place of a NULL that it does not allow") {
    Marks marks("CREATE TABLE marks(id INTEGER PRIMARY KEY, task INTEGER, slot INTEGER NOT NULL DEFAULT 3 UNIQUE)",
                " VALUES (1, 1, 3), (2, 2, 4)");
    CHECK(marks.changed_by("REPLACE INTO marks VALUES (5, 9, NULL)") == Ids{1, 9});
    CHECK(marks.changed_by("REPLACE INTO marks VALUES (6, 8, 4)") == Ids{2, 8});
}

TEST_CASE("the number of a row may be the assignment's column") {
    Foreign foreign;
    foreign.sql("CREATE TABLE marks(mark REAL)");
    foreign.watch("marks", "rowid");
    foreign.take_outbox();
    CHECK(foreign.changed_by("INSERT INTO marks VALUES (1), (2)") == Ids{1, 2});
    CHECK(foreign.changed_by("UPDATE marks SET mark = 3 WHERE rowid = 2") == Ids{2});
    CHECK(foreign.changed_by("DELETE FROM marks WHERE rowid = 1") == Ids{1});
}

TEST_CASE("a table whose name means a row in a trigger is refused") {
    Foreign foreign;
    for (const std::string name : {"new", "Old"}) {
        foreign.sql("CREATE TABLE " + name + "(task INTEGER)");
        CHECK_THROWS_WITH(change_triggers_sql(foreign.database(), {name, "task"}), Catch::Contains("by hand"));
    }
}
