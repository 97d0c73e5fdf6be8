// A database of another program: its own tables, seen through views, announced by generated triggers.
#include "core/own_schema.hpp"

#include <catch2/catch.hpp>

#include "core/sqlite_source.hpp"
#include "core/warm_queue.hpp"
#include "tests/core/foreign.hpp"

using namespace larder;
using test::Foreign;

namespace {

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
    const OwnSchema one = foreign.schema(), other = foreign.schema(std::string(test::foreign_views) + " -- changed");
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

TEST_CASE("the queue of warming jobs lies in another program's database, too, once its table is there") {
    Foreign foreign;
    const std::vector<AssignmentId> ids{1, 2};
    CHECK_THROWS_AS(WarmQueue(foreign.path(), "here").push(ids, 10), SourceError);
    foreign.sql(service_tables_sql(foreign.database()));
    WarmQueue queue(foreign.path(), "here");
    CHECK(queue.push(ids, 10));
    CHECK(queue.take_turn(1)->ids.size() == 2);
}
