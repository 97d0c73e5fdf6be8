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

/// The sentences about tables whose changes would go unnoticed.
std::vector<std::string> findings_of(const Foreign& foreign) {
    return unwatched_tables(foreign.path(), foreign.schema());
}

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
    for (const std::string& path : {std::string("/nowhere/views.sql"), foreign.directory().path(),
                                    test::write_file(foreign.directory(), "empty.sql", "")})
        CHECK_THROWS_WITH(OwnSchema::from_file(path), Catch::Contains("the schema " + path + " cannot be read"));
}

TEST_CASE("two ways of reading one database are two identities") {
    const Foreign foreign;
    const OwnSchema one = foreign.schema(), other = foreign.schema(std::string(test::foreign_views) + " -- changed");
    CHECK(database_identity(foreign.path(), &one) != database_identity(foreign.path(), &other));
    CHECK(database_identity(foreign.path(), &one) != database_identity(foreign.path()));
}

TEST_CASE("tables behind the views whose changes nobody is told of are named, with the command that helps") {
    Foreign foreign;
    const std::string command = "`larder triggers --db " + foreign.path() + " --table ";
    auto findings = findings_of(foreign);
    REQUIRE(findings.size() == 2);
    CHECK_THAT(findings[0], Catch::Contains("AFTER INSERT, UPDATE, DELETE: run " + command +
                                            "grades --assignment-column task_id --install`"));
    foreign.watch("grades", "task_id");
    findings = findings_of(foreign);
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], Catch::Contains(command + "tasks --assignment-column id --install`"));
    foreign.watch("tasks", "id");
    CHECK(findings_of(foreign).empty());
}

TEST_CASE("where the assignment's column is not plain, the command has a placeholder that says so") {
    Foreign foreign;
    foreign.sql("CREATE TABLE \"our classes\"(name TEXT, teacher INTEGER)");
    const auto findings = unwatched_tables(
        foreign.path(), foreign.schema("CREATE TEMP VIEW assignments AS SELECT teacher + 1 AS assignment_id FROM \"our "
                                       "classes\"; CREATE TEMP VIEW submissions AS SELECT 1 AS assignment_id"));
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], Catch::Contains("--table 'our classes' --assignment-column COLUMN --install`, where"));
}

TEST_CASE("each generated trigger must be there as it would be made now") {
    Foreign foreign;
    foreign.watch_all();
    for (const std::string what : {"insert", "update", "delete", "replace", "move"}) {
        INFO(what);
        foreign.sql("DROP TRIGGER larder_grades_" + what);
        const auto findings = findings_of(foreign);
        REQUIRE(findings.size() == 1);
        CHECK_THAT(findings[0], Catch::Contains("(larder_grades_" + what + ")") &&
                                    Catch::Contains("--table grades --assignment-column task_id --install` again"));
        foreign.watch("grades", "task_id");
        CHECK(findings_of(foreign).empty());
    }
    foreign.sql(
        "DROP TRIGGER larder_grades_insert; CREATE TRIGGER larder_grades_insert AFTER INSERT ON grades BEGIN "
        "INSERT INTO outbox(kind, assignment_id) SELECT 'change', NEW.pupil; END");
    CHECK(findings_of(foreign).size() == 1);
}

TEST_CASE("an index that comes later makes the triggers those of yesterday") {
    Foreign foreign;
    foreign.watch_all();
    foreign.sql("CREATE UNIQUE INDEX one_mark ON grades(mark)");
    const auto findings = findings_of(foreign);
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], Catch::Contains("(larder_grades_replace, larder_grades_move)"));
    foreign.watch_all();
    CHECK(findings_of(foreign).empty());
}

TEST_CASE("how generated triggers are spaced and their case do not matter, names like keywords neither") {
    Foreign foreign;
    foreign.sql("CREATE TABLE \"beginner \"\"after\"\" x\"(\"end; task\" INTEGER, s TEXT)");
    foreign.watch("beginner \"after\" x", "END; task");
    for (int time = 0; time < 2; ++time) {
        CHECK(
            unwatched_tables(foreign.path(),
                             foreign.schema("CREATE TEMP VIEW assignments AS SELECT \"end; task\" AS assignment_id "
                                            "FROM \"beginner \"\"after\"\" x\"; CREATE TEMP VIEW submissions AS SELECT "
                                            "1 AS assignment_id"))
                .empty());
        foreign.sql(
            "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(replace(sql, ' WHERE ', "
            "'\n\t/* x */ where '), 'INSERT INTO', 'insert -- x\n INTO') WHERE type = 'trigger'; "
            "PRAGMA writable_schema = RESET");
    }
}

TEST_CASE("triggers written by hand must come AFTER each event and write to exactly the outbox") {
    Foreign foreign;
    foreign.watch("tasks", "id");
    foreign.sql("CREATE TABLE mail_outbox(kind, assignment_id)");
    const auto make = [&foreign](const std::string& name, const std::string& event, const std::string& target) {
        foreign.sql("DROP TRIGGER IF EXISTS " + name + "; CREATE TRIGGER IF NOT EXISTS " + name + " " + event +
                    " ON grades BEGIN INSERT INTO " + target + "(kind, assignment_id) VALUES ('change', " +
                    (event.find("DELETE") == std::string::npos ? "NEW" : "OLD") + ".task_id); END");
    };
    const auto untold = [&foreign]() -> std::string {
        const auto findings = findings_of(foreign);
        return findings.empty() ? "" : findings[0].substr(0, findings[0].find(": run"));
    };
    const std::string says = "no trigger of the table grades writes to the outbox AFTER ";
    for (const char* const event : {"INSERT", "UPDATE", "DELETE"})
        make("mail_" + std::string(event), std::string("AFTER ") + event, "mail_outbox");
    CHECK(untold() == says + "INSERT, UPDATE, DELETE");
    make("begin_i", "BEFORE INSERT", "outbox");
    make("[after d]", "/* AFTER */ DELETE", "\"outbox\"");
    CHECK(untold() == says + "INSERT, UPDATE, DELETE");
    make("begin_i", "after\n\tinsert", "outbox");
    make("[after d]", "AFTER DELETE", "\"outbox\"");
    CHECK(untold() == says + "UPDATE");
    make("u", "AFTER UPDATE OF mark, \"Task_Id\"", "[outbox]");
    CHECK(untold() == says + "UPDATE OF late");
    make("u", "AFTER UPDATE OF mark, task_id, late", "outbox");
    CHECK(untold().empty());
    make("u", "AFTER UPDATE", "outbox");
    CHECK(untold().empty());
}

TEST_CASE("triggers that say no more than what was published tell of no change") {
    Foreign foreign;
    foreign.watch_all();
    CHECK(findings_of(foreign).empty());
    for (const char* const name : {"insert", "update", "delete", "replace", "move"})
        foreign.sql(std::string("DROP TRIGGER larder_tasks_") + name);
    foreign.sql(
        "CREATE TRIGGER i AFTER INSERT ON tasks BEGIN INSERT INTO outbox(kind, assignment_id) VALUES ('x', "
        "NEW.id); END; CREATE TRIGGER d AFTER DELETE ON tasks BEGIN INSERT INTO outbox(kind, assignment_id) "
        "VALUES ('x', OLD.id); END; CREATE TRIGGER p AFTER UPDATE ON tasks WHEN NEW.points > 0 BEGIN INSERT INTO "
        "outbox(kind, assignment_id) VALUES ('published', NEW.id); END");
    REQUIRE(findings_of(foreign).size() == 1);
    CHECK_THAT(findings_of(foreign)[0], Catch::Contains("AFTER UPDATE"));
}

TEST_CASE("generated triggers for another column than the views take are not those that are needed") {
    Foreign foreign;
    foreign.watch("tasks", "id");
    foreign.watch("grades", "pupil");
    REQUIRE(findings_of(foreign).size() == 1);
    CHECK_THAT(findings_of(foreign)[0], Catch::Contains("--assignment-column task_id"));
}

TEST_CASE("a table of which the views read no column counts") {
    Foreign foreign;
    foreign.sql("CREATE TABLE pupils(id)");
    foreign.watch_all();
    std::string views = test::foreign_views;
    views.replace(views.find("30 AS"), 2, "(SELECT count(*) FROM pupils)");
    const auto findings = unwatched_tables(foreign.path(), foreign.schema(views));
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], Catch::Contains("table pupils"));
}

TEST_CASE("a database that is locked is not the fault of the views") {
    Foreign foreign;
    const OwnSchema schema = foreign.schema();
    foreign.sql("BEGIN EXCLUSIVE");
    CHECK_THROWS_AS(open_source(foreign.path(), &schema), SourceUnavailable);
}

TEST_CASE("an update of what a generated column is made of counts where views read that one") {
    Foreign foreign;
    foreign.sql(
        "CREATE TABLE marks(task INTEGER, raw TEXT, mark REAL AS (raw + 0));"
        "CREATE TRIGGER i AFTER INSERT ON marks BEGIN INSERT INTO outbox(kind, assignment_id) VALUES ('c', 1); END;"
        "CREATE TRIGGER u AFTER UPDATE OF task ON marks BEGIN INSERT INTO outbox(kind, assignment_id) VALUES "
        "('c', 1); END;"
        "CREATE TRIGGER d AFTER DELETE ON marks BEGIN INSERT INTO outbox(kind, assignment_id) VALUES ('c', 1); END;" +
        service_tables_sql(foreign.database()));
    const auto findings = unwatched_tables(
        foreign.path(), foreign.schema("CREATE TEMP VIEW assignments AS SELECT 1 AS assignment_id; CREATE TEMP VIEW "
                                       "submissions AS SELECT task AS assignment_id, mark AS score FROM marks"));
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0], Catch::Contains("AFTER UPDATE OF raw: run"));
}

TEST_CASE("what a view between reads counts, and the view itself does not") {
    Foreign foreign;
    foreign.watch_all();
    foreign.sql("CREATE VIEW all_grades AS SELECT * FROM grades");
    const auto through_view = [&foreign] {
        return unwatched_tables(
            foreign.path(),
            foreign.schema(
                "CREATE TEMP VIEW assignments AS SELECT value AS assignment_id FROM json_each('[1]'); CREATE "
                "TEMP VIEW submissions AS SELECT task_id AS assignment_id FROM all_grades"));
    };
    CHECK(through_view().empty());
    foreign.sql("DROP TRIGGER larder_grades_insert");
    REQUIRE(through_view().size() == 1);
    CHECK_THAT(through_view()[0], Catch::Contains("the table grades"));
}

TEST_CASE("tables of the other program may be called as our views are") {
    Foreign foreign;
    foreign.sql("CREATE TABLE submissions(task INTEGER, mark REAL)");
    foreign.watch("submissions", "task");
    foreign.watch("tasks", "id");
    CHECK(
        unwatched_tables(foreign.path(),
                         foreign.schema("CREATE TEMP VIEW Assignments AS SELECT id AS assignment_id FROM tasks; CREATE "
                                        "TEMP VIEW SUBMISSIONS AS SELECT task AS assignment_id FROM main.submissions"))
            .empty());
}

TEST_CASE(
    "tables that a service needs and the database lacks are a finding, another program's of their names an error") {
    Foreign foreign;
    foreign.watch_all();
    foreign.sql("DROP TABLE warm_job_ids");
    const auto findings = findings_of(foreign);
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings[0],
               Catch::Contains("no table warm_job_ids: run `larder triggers --db " + foreign.path() + " --install`"));
    foreign.sql("CREATE TABLE Warm_Job_Ids(job_id INTEGER, mail TEXT)");
    CHECK_THROWS_WITH(findings_of(foreign), Catch::Contains("a table warm_job_ids of its own (job_id, mail)"));
}

TEST_CASE("what is published is announced by a trigger that says so to the outbox") {
    Foreign foreign;
    foreign.watch_all();
    CHECK_FALSE(announces_publications(foreign.path()));
    foreign.sql(
        "CREATE TABLE log(x); CREATE TRIGGER a AFTER UPDATE ON tasks BEGIN INSERT INTO log VALUES ('published'); END");
    CHECK_FALSE(announces_publications(foreign.path()));
    foreign.sql(
        "CREATE TRIGGER b AFTER UPDATE ON tasks WHEN NEW.points > 0 BEGIN INSERT INTO outbox(kind, assignment_id) "
        "VALUES ('published', NEW.id); END");
    CHECK(announces_publications(foreign.path()));
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
