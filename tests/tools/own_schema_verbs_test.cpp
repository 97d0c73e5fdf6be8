// Another program's database behind `larder serve` and `larder analytics`, from its triggers to a changed page.
#include <SQLiteCpp/SQLiteCpp.h>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"

using namespace larder;
using namespace larder::test;

namespace {

class Office {
public:
    Office() {
        std::filesystem::create_directory(file("cache"));
        std::filesystem::permissions(file("cache"), std::filesystem::perms::owner_all);
        sql("CREATE TABLE tasks(id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE grades(task_id INTEGER, mark REAL);"
            "INSERT INTO tasks VALUES (1, 'Essay'); INSERT INTO grades VALUES (1, 80), (1, 90)");
        std::ofstream(file("views.sql"))
            << "CREATE TEMP VIEW assignments AS SELECT id AS assignment_id, name AS title, 7 AS author_id, 100 AS "
               "max_score, 4 AS assigned_count, NULL AS course, NULL AS created_at FROM tasks;\n"
               "CREATE TEMP VIEW submissions AS SELECT task_id AS assignment_id, 'graded' AS status, mark AS score, "
               "100 "
               "AS max_score, 0 AS is_late, NULL AS submitted_at, NULL AS graded_at FROM grades;\n";
    }
    std::string file(const std::string& name) const { return directory_.file(name); }
    void sql(const std::string& statements) const {
        SQLite::Database(file("other.db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000).exec(statements);
    }
    std::int64_t number(const std::string& query) const {
        return SQLite::Database(file("other.db")).execAndGet(query).getInt64();
    }
    CommandResult shell(const std::string& script) const { return run_shell(file("cache"), script); }
    CommandResult run(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--db", file("other.db")});
        return run_larder(file("cache"), arguments);
    }
    CommandResult analytics() const {
        return run({"analytics", "1", "--size", "16MiB", "--schema", file("views.sql")});
    }
    void install_triggers() const {
        for (const auto& [table, column] : {std::pair("tasks", "id"), std::pair("grades", "task_id")})
            REQUIRE(run({"triggers", "--table", table, "--assignment-column", column, "--install"}).code == 0);
    }

private:
    ScopedDirectory directory_;
};

}  // namespace

TEST_CASE("missing triggers are said before anything is served, each on a line with the command that makes them",
          "[cli]") {
    const Office office;
    const CommandResult sql = office.run({"triggers", "--table", "grades", "--assignment-column", "task_id"});
    CHECK(sql.code == 0);
    CHECK(sql.out.find("CREATE TRIGGER \"larder_grades_insert\"") != std::string::npos);
    const CommandResult refused = office.analytics();  // it was printed, not run
    CHECK(refused.code == 3);
    std::istringstream lines(refused.err);
    int commands = 0;
    for (std::string line; std::getline(lines, line);) {
        CHECK_THAT(line, Catch::StartsWith("larder: ") && !Catch::Contains("\\x0a"));
        const std::size_t begin = line.find("`larder "), end = line.find('`', begin + 1);
        if (begin == std::string::npos) continue;
        ++commands;
        CHECK(office.shell("\"$LARDER\"" + line.substr(begin + 7, end - begin - 7)).code == 0);
    }
    CHECK(commands == 2);
    CHECK(office.analytics().code == 0);
}

TEST_CASE("config --check has each missing trigger as a problem of its own", "[config]") {
    const Office office;
    std::ofstream(office.file("larder.toml"))
        << "[serve]\ndb = '" + office.file("other.db") + "'\nschema = '" + office.file("views.sql") + "'\n";
    const CommandResult checked =
        office.shell("\"$LARDER\" config --check --json --config " + office.file("larder.toml"));
    CHECK(checked.code == 2);
    const auto problems = checked.json().at("problems").as_array();
    REQUIRE(problems.size() == 2);
    CHECK_THAT(
        std::string(problems[1].as_string()),
        Catch::Contains("larder.toml:2: ") && Catch::Contains("--table tasks --assignment-column id --install`"));
}

TEST_CASE("what `larder triggers` cannot do is said, and changes nothing", "[cli]") {
    const Office office;
    CHECK(office.run({"triggers", "--table", "x", "--assignment-column", "y"}).code == 3);
    CHECK(office.run({"triggers", "--table", "", "--assignment-column", "y"}).code == 3);
    CHECK(office.run({"triggers", "--table", "grades"}).code == 2);
    CHECK(office.run({"triggers", "--assignment-column", "task_id"}).code == 2);
    office.sql("CREATE TABLE outbox(id INTEGER PRIMARY KEY, topic TEXT, payload TEXT)");
    const CommandResult refused =
        office.run({"triggers", "--table", "grades", "--assignment-column", "task_id", "--install"});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("a table outbox of its own (id key, topic, payload)"));
    CHECK_NOTHROW(office.sql("INSERT INTO grades VALUES (1, 70); INSERT INTO outbox(topic) VALUES ('x')"));
    CHECK(office.number("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' OR name LIKE 'warm%'") == 0);
    CHECK_THAT(office.analytics().err, Catch::Contains("give that table another name"));
}

TEST_CASE("triggers written by hand are enough, beside the tables that a service needs", "[cli]") {
    const Office office;
    for (const std::string table : {"tasks", "grades"})
        for (const std::string event : {"INSERT", "UPDATE", "DELETE"})
            office.sql("CREATE TRIGGER " + table + event + " AFTER " + event + " ON " + table +
                       " BEGIN INSERT INTO outbox(kind, assignment_id) VALUES ('change', 1); END");
    const CommandResult refused = office.analytics();
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("no table outbox: run `larder triggers --db ") &&
                                Catch::Contains(" --install`") && !Catch::Contains("larder import"));
    CHECK(office.run({"triggers", "--install"}).code == 0);
    CHECK(office.analytics().code == 0);
}

TEST_CASE("warming of what is published needs a trigger that says what that is", "[cli]") {
    const Office office;
    office.install_triggers();
    const auto serve = [&office] {
        return office.run({"serve", "--schema", office.file("views.sql"), "--warm-on-publish", "true", "--listen",
                           "127.0.0.1:0", "--port-file", "/nowhere/port"});
    };
    CHECK_THAT(serve().err, Catch::Contains("--warm-on-publish: no trigger of"));
    office.sql(
        "CREATE TRIGGER opened AFTER UPDATE ON tasks WHEN NEW.name = 'open' BEGIN INSERT INTO outbox(kind, "
        "assignment_id) VALUES ('published', NEW.id); END");
    const CommandResult next = serve();
    CHECK(next.code == 3);
    CHECK_THAT(next.err, Catch::Contains("/nowhere/port") && !Catch::Contains("--warm-on-publish"));
}

TEST_CASE("a change of the other program's tables changes the statistics", "[cli]") {
    const Office office;
    office.install_triggers();
    CHECK(office.analytics().json().at("statistics").at("mean") == 85.0);
    office.sql("UPDATE grades SET mark = 100 WHERE mark = 90");
    CHECK(office.analytics().json().at("statistics").at("mean") == 90.0);
    office.sql("UPDATE tasks SET name = 'Report'");
    CHECK(office.analytics().json().at("assignment_title") == "Report");
    CHECK(office.run({"analytics", "1", "--size", "16MiB"}).code == 3);  // it is no database of ours
}

TEST_CASE("a service before another program's database relays its changes, and runs its jobs", "[serve]") {
    const ServedSchool directories;
    const Office office;
    office.install_triggers();
    for (int id = 2; id <= 20; ++id) office.sql("INSERT INTO tasks VALUES (" + std::to_string(id) + ", 'x')");
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(directories.file("school.db") + end);
    std::filesystem::rename(office.file("other.db"), directories.file("school.db"));
    Service service(directories, {"--schema", office.file("views.sql")});
    CHECK(boost::json::parse(service.get(analytics(1)).body).at("statistics").at("mean") == 85.0);
    SQLite::Database(directories.file("school.db"), SQLite::OPEN_READWRITE, 5'000)
        .exec("DELETE FROM grades WHERE mark = 80");
    CHECK(eventually(
        [&] { return boost::json::parse(service.get(analytics(1)).body).at("statistics").at("mean") == 90.0; }));
    const HttpAnswer job =
        service.post("/api/cache/warm/", R"({"ids":[2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]})");
    CHECK((job.status == 202 || job.status == 200));
    CHECK(eventually([&] { return directories.cache().contains("assignment_stats:20"); }));

    // All workers read the database as their supervisor began to, whatever becomes of the file.
    std::ofstream(office.file("views.sql"), std::ios::app) << "-- another text\n";
    service.child().kill(SIGHUP);
    CHECK(eventually([&] {
        return service.log().find(
                   "Needs a restart, and stays as it was: the statements of the file that schema names") !=
               std::string::npos;
    }));
    for (const pid_t pid : service.workers()) ::kill(pid, SIGKILL);
    CHECK(eventually([&] { return service.get(analytics(1)).status == 200 && service.workers().size() == 2; }));
    CHECK(service.log().find("identity") == std::string::npos);
}
