// The program on a PostgreSQL database: two roles, pages, a database of another program, a server that goes.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "core/postgres/relay_lock.hpp"
#include "tests/postgres/postgres_server.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// Roles of a worker and of a relay, which may not do more than they must, and a cache directory.
class Office {
public:
    explicit Office(PostgresServer& server = PostgresServer::shared())
        : server_(server), url(server.make_database()), name(url.substr(14, url.find('?') - 14)) {
        run_sql(
            "DO $$ BEGIN IF to_regrole('web') IS NULL THEN CREATE ROLE web LOGIN; CREATE ROLE relay LOGIN; END IF; "
            "END $$");
        std::filesystem::create_directory(file("cache"));
        std::filesystem::permissions(file("cache"), std::filesystem::perms::owner_all);
    }
    /// With our tables: two assignments of author 7, and a grade for each.
    void make_school() {
        postgres::Connection writer({.url = url, .patience = std::chrono::seconds(20)});
        postgres::create_schema(writer);
        writer.run(
            "INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count) VALUES "
            "(1, 'Essay', 7, 100, 4), (2, 'Lab', 7, 100, 4); "
            "INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) VALUES "
            "(10, 1, 1, 'graded', 80, 100), (20, 2, 1, 'graded', 60, 100); "
            "GRANT larder_reader TO web; GRANT larder_relay TO relay");
    }
    void run_sql(const std::string& statements) const {
        postgres::Connection writer({.url = url, .patience = std::chrono::seconds(20)});
        writer.see_public(true);  // as another program does
        writer.run(statements);
    }
    std::string file(const std::string& path) const { return directory_.file(path); }
    std::string url_of(const std::string& role) const { return server_.url(name, role); }
    std::vector<std::string> with_database(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--db", url_of("web"), "--relay-db", url_of("relay"), "--size", "16MiB"});
        return arguments;
    }
    CommandResult run(const std::vector<std::string>& arguments) const { return run_larder(file("cache"), arguments); }
    std::string state_of(const std::string& id, std::vector<std::string> more = {}) const {
        more.insert(more.begin(), {"analytics", id, "--json"});
        const CommandResult result = run(with_database(std::move(more)));
        INFO(result.err);
        REQUIRE(result.code == 0);
        return std::string(result.json().at("state").as_string());
    }

private:
    PostgresServer& server_;
    const ScopedDirectory directory_;

public:
    const std::string url, name;
};

class OfficeService {
public:
    explicit OfficeService(const Office& office, std::vector<std::string> more = {})
        : command_(office.file("cache"), arguments(office, std::move(more))) {
        REQUIRE(eventually([&] {
            std::ifstream(office.file("port")) >> port_;
            return port_ != 0 && get("/healthz").status == 200;
        }));
    }
    pid_t pid() const { return command_.pid(); }
    HttpAnswer get(const std::string& target) const { return http_get(port_, target); }
    HttpAnswer page(int id) const { return get("/api/assignments/" + std::to_string(id) + "/analytics/"); }
    bool page_has(int id, const std::string& text) const {
        const HttpAnswer answer = page(id);
        return answer.status == 200 && answer.body.find(text) != std::string::npos;
    }

private:
    static std::vector<std::string> arguments(const Office& office, std::vector<std::string> more) {
        more.insert(more.begin(), {"serve", "--listen", "127.0.0.1:0", "--port-file", office.file("port")});
        return office.with_database(std::move(more));
    }
    LarderCommand command_;
    std::uint16_t port_ = 0;
};

constexpr const char* foreign_tables =
    "CREATE TABLE tasks(id int PRIMARY KEY, name text); "
    "CREATE TABLE grades(task int, mark numeric, hidden boolean DEFAULT false); "
    "CREATE VIEW shown AS SELECT * FROM grades WHERE NOT hidden; "
    "INSERT INTO tasks VALUES (1, 'Essay'), (2, 'Lab'); INSERT INTO grades VALUES (1, 80), (2, 60); "
    "GRANT SELECT ON tasks, grades, shown TO web";
constexpr const char* foreign_views =
    "CREATE TEMP VIEW assignments AS SELECT id AS assignment_id, name AS title, 7 AS author_id, 100 AS max_score, "
    "4 AS assigned_count, NULL::text AS course, now() AS created_at FROM tasks; "
    "CREATE TEMP VIEW submissions AS SELECT task AS assignment_id, 'graded' AS status, mark AS score, 100 AS "
    "max_score, "
    "false AS is_late, now() AS submitted_at, now() AS graded_at FROM shown;";

}  // namespace

TEST_CASE("pages are served by a role that reads, and change with a commit", "[postgres]") {
    Office office;
    office.make_school();
    const OfficeService service(office);
    CHECK(service.page(1).header("X-Cache") == "miss");
    CHECK(service.page_has(1, "\"mean\":80.0"));
    CHECK(service.page(1).header("X-Cache") == "hit");
    CHECK(service.page(3).status == 404);
    office.run_sql("UPDATE larder.submissions SET score = 90 WHERE assignment_id = 1");
    CHECK(eventually([&] { return service.page_has(1, "\"mean\":90.0"); }));
}

TEST_CASE("warming has its jobs beside the cache, and they go with it", "[postgres]") {
    Office office;
    office.make_school();
    CHECK(office.run(office.with_database({"warm", "--all"})).out.starts_with("2 warmed, 0 failed"));
    CHECK(office.state_of("1") == "hit");
    CHECK(std::filesystem::exists(office.file("cache/default.seg.jobs")));
    CHECK(office.run({"rm"}).code == 0);
    CHECK(std::filesystem::is_empty(office.file("cache")));
}

TEST_CASE("a role that may not relay is refused by name, and so is a database without our tables", "[postgres]") {
    Office office;
    CHECK_THAT(office.run(office.with_database({"analytics", "1"})).err, Catch::Contains("larder import"));
    office.make_school();
    const CommandResult refused = office.run({"analytics", "1", "--db", office.url_of("web")});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("the role web may not relay the outbox"));
    const CommandResult blind = office.run({"analytics", "1", "--db", office.url_of("relay")});
    CHECK(blind.code == 3);
    CHECK_THAT(blind.err, Catch::Contains("permission denied for table"));
    CHECK(std::filesystem::is_empty(office.file("cache")));
}

TEST_CASE("two ways to one database are one identity, two databases are two", "[postgres]") {
    Office office, other;
    office.make_school();
    other.make_school();
    CHECK(office.state_of("1") == "miss");
    CHECK(office.run({"analytics", "1", "--json", "--db", office.url + "&application_name=x"}).json().at("state") ==
          "hit");
    CHECK_THAT(office.run({"analytics", "1", "--db", other.url}).err, Catch::Contains("give each its own cache"));
}

TEST_CASE("nobody sees the password of a URL", "[postgres]") {
    Office office;
    for (const std::string url :
         {"postgres://web:hunter2@127.0.0.1:1/school", "postgresql://127.0.0.1:1/school?user=web&password=hunter2"}) {
        const CommandResult refused = office.run({"analytics", "1", "--db", url});
        CHECK(refused.code == 3);
        CHECK_THAT(refused.err, Catch::Contains("web@127.0.0.1:1/school") && !Catch::Contains("hunter2"));
        const CommandResult shown = office.run({"config", "--db", url});
        CHECK(shown.code == 0);
        CHECK_THAT(shown.out, Catch::Contains("127.0.0.1:1/school") && !Catch::Contains("hunter2"));
    }
}

TEST_CASE("a database of another program is served once every table behind its views has triggers", "[postgres]") {
    Office office;
    office.run_sql(foreign_tables);
    std::ofstream(office.file("views.sql")) << foreign_views;
    const std::vector<std::string> schema{"--schema", office.file("views.sql")};
    REQUIRE(office.run({"triggers", "--db", office.url, "--install"}).code == 0);
    office.run_sql("GRANT larder_relay TO relay");  // web reads the other program's tables alone
    const auto serve = [&] {
        auto words = office.with_database({"analytics", "1"});
        words.insert(words.end(), schema.begin(), schema.end());
        return office.run(words);
    };
    office.run_sql(
        "CREATE FUNCTION too_early() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO larder.outbox(assignment_id, kind) VALUES (0, ''change''); RETURN NEW; END'; "
        "CREATE TRIGGER too_early BEFORE INSERT OR UPDATE OR DELETE ON tasks FOR EACH ROW "
        "EXECUTE FUNCTION too_early()");
    CHECK_THAT(serve().err,
               Catch::Contains("changes of the table public.grades would go unnoticed") &&
                   Catch::Contains("changes of the table public.tasks would go unnoticed (no trigger AFTER "
                                   "INSERT, UPDATE, DELETE, TRUNCATE writes"));
    office.run_sql("DROP TRIGGER too_early ON tasks");
    for (const auto& [table, column] : {std::pair("grades", "task"), std::pair("tasks", "id")})
        REQUIRE(
            office.run({"triggers", "--db", office.url, "--table", table, "--assignment-column", column, "--install"})
                .code == 0);
    CHECK(office.run({"triggers", "--db", office.url, "--table", "grades", "--assignment-column", "x"}).code == 3);
    const OfficeService service(office, schema);
    CHECK(service.page_has(1, "\"mean\":80.0"));
    CHECK(service.page_has(2, "\"mean\":60.0"));
    office.run_sql("UPDATE grades SET task = 2 WHERE task = 1");
    CHECK(eventually([&] { return service.page_has(2, "\"mean\":70.0") && service.page_has(1, "\"mean\":null"); }));
    office.run_sql("TRUNCATE grades");
    CHECK(eventually([&] { return service.page_has(2, "\"mean\":null"); }));
    office.run_sql("DELETE FROM tasks WHERE id = 2");
    CHECK(eventually([&] { return service.page(2).status == 404; }));
}

TEST_CASE("a table that takes the name of one that is read is read in its place", "[postgres]") {
    Office office;
    office.run_sql(foreign_tables);
    std::ofstream(office.file("views.sql")) << foreign_views;
    const auto install = [&](const std::string& table, const std::string& column) {
        REQUIRE(
            office.run({"triggers", "--db", office.url, "--table", table, "--assignment-column", column, "--install"})
                .code == 0);
    };
    install("tasks", "id");
    install("grades", "task");
    office.run_sql("GRANT larder_relay TO relay");
    const OfficeService service(office, {"--schema", office.file("views.sql")});
    CHECK(service.page_has(1, "\"mean\":80.0"));
    office.run_sql(
        "CREATE TABLE public.new_grades(LIKE grades); INSERT INTO new_grades VALUES (1, 30); "
        "CREATE VIEW public.new_shown AS SELECT * FROM new_grades; GRANT SELECT ON new_grades, new_shown TO web");
    install("new_grades", "task");
    office.run_sql(
        "BEGIN; ALTER TABLE grades RENAME TO old_grades; ALTER TABLE new_grades RENAME TO grades; "
        "ALTER VIEW shown RENAME TO old_shown; ALTER VIEW new_shown RENAME TO shown; COMMIT");
    CHECK(eventually([&] { return service.page_has(1, "\"mean\":30.0"); }));
    office.run_sql("UPDATE grades SET mark = 40");
    CHECK(eventually([&] { return service.page_has(1, "\"mean\":40.0"); }));
    office.run_sql("ALTER TABLE grades DISABLE TRIGGER USER");
    CHECK(eventually([&] { return service.page(1).header("X-Cache").ends_with("; degraded"); }));
    office.run_sql("UPDATE grades SET mark = 50");
    CHECK(eventually([&] { return service.page_has(1, "\"mean\":50.0"); }));
    office.run_sql("ALTER TABLE grades ENABLE TRIGGER USER");
    CHECK(eventually([&] { return service.page(1).header("X-Cache") == "hit"; }));
}

TEST_CASE("triggers name the column, whatever PL/pgSQL would take it for, and write to no outbox", "[postgres]") {
    Office office;
    office.make_school();
    for (const std::string column : {"new", "old", "tg_op", "found", "before", "after"}) {
        INFO(column);
        office.run_sql("CREATE TABLE named_" + column + "(\"" + column + "\" int)");
        CHECK(office
                  .run({"triggers", "--db", office.url, "--table", "named_" + column, "--assignment-column", column,
                        "--install"})
                  .code == 0);
        office.run_sql("INSERT INTO named_" + column + " VALUES (1); UPDATE named_" + column + " SET \"" + column +
                       "\" = 2; DELETE FROM named_" + column);
    }
    const CommandResult refused = office.run({"triggers", "--db", office.url, "--table", "larder.outbox",
                                              "--assignment-column", "assignment_id", "--install"});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("is what triggers write to"));
}

TEST_CASE("our own tables without their triggers are refused, and get them back", "[postgres]") {
    Office office;
    office.make_school();
    const auto words = office.with_database({"analytics", "1"});
    postgres::Connection reader({.url = office.url, .patience = std::chrono::seconds(20)});
    CHECK(office.run(words).code == 0);
    for (const char* loss :
         {"ALTER TABLE larder.assignments DISABLE TRIGGER updated", "DROP TRIGGER truncated ON larder.submissions",
          "DROP TRIGGER inserted ON larder.submissions; CREATE TRIGGER inserted AFTER INSERT ON "
          "larder.submissions FOR EACH ROW WHEN (NEW.score > 50) EXECUTE FUNCTION "
          "larder.note_changes('submission')",
          "CREATE OR REPLACE TRIGGER inserted AFTER INSERT ON larder.submissions REFERENCING NEW TABLE AS after "
          "FOR EACH STATEMENT WHEN (current_user <> 'loader') EXECUTE FUNCTION larder.note_changes('submission')"}) {
        INFO(loss);
        office.run_sql("DELETE FROM larder.outbox");
        office.run_sql(loss);
        const CommandResult refused = office.run(words);
        CHECK(refused.code != 0);
        CHECK_THAT(refused.err, Catch::Contains("would go unnoticed") &&
                                    Catch::Contains("`larder triggers --db URL --install` as its owner"));
        CHECK(office.run({"triggers", "--db", office.url, "--install"}).code == 0);
        CHECK(office.run(words).code == 0);
        CHECK(reader.run("SELECT count(*) FROM outbox WHERE kind = 'everything'").integer(0, 0) == 1);
    }
}

TEST_CASE("who may not make roles has them made, and gives them their rights afterwards", "[postgres]") {
    PostgresServer server;
    Office office(server);
    office.run_sql("CREATE ROLE owner LOGIN; ALTER DATABASE " + office.name + " OWNER TO owner");
    const std::string by_owner = office.url_of("owner");
    CHECK(office.run({"triggers", "--db", by_owner, "--install"}).code == 0);
    office.run_sql(
        "CREATE ROLE larder_reader; CREATE ROLE larder_relay; GRANT larder_reader TO web; GRANT larder_relay TO relay");
    const auto words = office.with_database({"analytics", "1"});
    CHECK_THAT(office.run(words).err, Catch::Contains("`larder triggers --install` gives it its rights again"));
    CHECK(office.run({"triggers", "--db", by_owner, "--install"}).code == 0);
    CHECK_THAT(office.run(words).err, Catch::Contains("no assignment 1"));
}

TEST_CASE("a table that takes another's name takes none of its triggers", "[postgres]") {
    Office office;
    const auto install = [&](const std::string& column) {
        CHECK(
            office
                .run({"triggers", "--db", office.url, "--table", "grades", "--assignment-column", column, "--install"})
                .code == 0);
    };
    REQUIRE(office.run({"triggers", "--db", office.url, "--install"}).code == 0);
    office.run_sql("CREATE TABLE grades(task int, mark numeric)");
    install("task");
    office.run_sql("ALTER TABLE grades RENAME TO grades_of_2025; CREATE TABLE grades(assignment int, mark numeric)");
    install("assignment");
    office.run_sql("INSERT INTO grades_of_2025 VALUES (7, 1); INSERT INTO grades VALUES (8, 1)");
    postgres::Connection reader({.url = office.url, .patience = std::chrono::seconds(20)});
    CHECK(reader.run("SELECT count(*) FROM outbox WHERE assignment_id IN (7, 8)").integer(0, 0) == 2);
}

TEST_CASE("a session that is ended under a page is made anew for it", "[postgres]") {
    Office office;
    office.make_school();
    const OfficeService service(office, {"--workers", "1"});
    CHECK(service.page(2).status == 200);  // a session is open
    postgres::Connection keeper({.url = office.url, .patience = std::chrono::seconds(20)});
    keeper.run("BEGIN; LOCK TABLE larder.submissions IN ACCESS EXCLUSIVE MODE");
    postgres::Connection other({.url = office.url, .patience = std::chrono::seconds(20)});
    HttpAnswer page;
    std::jthread asking([&] { page = service.page(1); });
    CHECK(eventually([&] {
        return other
                   .run(
                       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder "
                       "worker' AND wait_event_type = 'Lock' AND datname = current_database()")
                   .count() == 1;
    }));
    keeper.run("COMMIT");
    asking.join();
    CHECK(page.status == 200);
    CHECK_THAT(page.body, Catch::Contains("\"mean\":80.0"));
}

TEST_CASE("a view is missing, or is one of whose refresh nobody can be told: it is said", "[postgres]") {
    Office office;
    office.run_sql(foreign_tables);
    office.run_sql("CREATE MATERIALIZED VIEW seldom AS SELECT * FROM tasks; GRANT SELECT ON seldom TO web");
    REQUIRE(office.run({"triggers", "--db", office.url, "--install"}).code == 0);
    office.run_sql("GRANT larder_reader TO web; GRANT larder_relay TO relay");
    const auto refused = [&](const std::string& views) {
        std::ofstream(office.file("views.sql")) << views;
        return office.run(office.with_database({"analytics", "1", "--schema", office.file("views.sql")})).err;
    };
    CHECK_THAT(refused("CREATE TEMP VIEW assignments AS SELECT 1 AS assignment_id"),
               Catch::Contains("makes no views `assignments` and `submissions`"));
    std::string views = foreign_views;
    views.replace(views.find("FROM tasks"), 10, "FROM seldom");
    CHECK_THAT(refused(views), Catch::Contains("seldom, a materialized view"));
}

TEST_CASE("a server that goes is an answer that says so, and is found again", "[postgres]") {
    PostgresServer server;
    Office office(server);
    office.make_school();
    const OfficeService service(office);
    CHECK(service.page(1).status == 200);
    server.stop();
    CHECK(eventually([&] { return service.page(2).status == 503; }));
    CHECK(
        eventually([&] { return service.get("/metrics").body.find("larder_relay_caught_up 0") != std::string::npos; }));
    const HttpAnswer health = service.get("/healthz");
    CHECK(health.status == 200);  // others are no better off
    CHECK_THAT(health.body, Catch::Contains("degraded"));
    const std::set<pid_t> killed = children_of(service.pid());
    REQUIRE_FALSE(killed.empty());
    for (const pid_t worker : killed) ::kill(worker, SIGKILL);
    CHECK(eventually([&] {  // others take their places, without the database
        const std::set<pid_t> now = children_of(service.pid());
        return now.size() == killed.size() && killed.count(*now.begin()) == 0 && killed.count(*now.rbegin()) == 0 &&
               service.get("/healthz").status == 200;
    }));
    server.start();
    CHECK(eventually([&] { return service.page_has(2, "\"mean\":60.0"); }));
    office.run_sql("UPDATE larder.submissions SET score = 70 WHERE assignment_id = 2");
    CHECK(eventually([&] { return service.page_has(2, "\"mean\":70.0"); }));
}

TEST_CASE("a part of a table has triggers of its own, or is named", "[postgres]") {
    Office office;
    office.run_sql(
        "CREATE TABLE tasks(id int PRIMARY KEY, name text); "
        "CREATE TABLE grades(task int, mark numeric, hidden boolean DEFAULT false) PARTITION BY RANGE (task); "
        "CREATE TABLE grades_old PARTITION OF grades FOR VALUES FROM (0) TO (100); "
        "CREATE VIEW shown AS SELECT * FROM grades; GRANT SELECT ON tasks, grades, shown TO web");
    std::ofstream(office.file("views.sql")) << foreign_views;
    const auto install = [&](const std::string& table, const std::string& column) {
        CHECK(office.run({"triggers", "--db", office.url, "--table", table, "--assignment-column", column, "--install"})
                  .code == 0);
    };
    install("tasks", "id");
    install("grades", "task");
    office.run_sql("GRANT larder_reader TO web; GRANT larder_relay TO relay");
    const std::vector<std::string> doctor{"doctor",
                                          "--db",
                                          office.url_of("web"),
                                          "--relay-db",
                                          office.url_of("relay"),
                                          "--schema",
                                          office.file("views.sql")};
    CHECK_THAT(office.run(doctor).out, Catch::Contains("changes of the table public.grades_old would go unnoticed") &&
                                           !Catch::Contains("public.grades would"));
    install("grades_old", "task");
    CHECK_THAT(office.run(doctor).out, !Catch::Contains("would go unnoticed"));
}

TEST_CASE("the doctor sees the way of a change, and where it ends", "[postgres]") {
    PostgresServer server;
    Office office(server);
    office.make_school();
    const std::vector<std::string> arguments{
        "doctor", "--json", "--db", office.url_of("web"), "--relay-db", office.url_of("relay")};
    std::string findings, notes;
    const auto examine = [&] {
        const CommandResult result = office.run(arguments);
        const boost::json::value report = result.json();
        const auto names = [&report](const char* list) {
            std::string all;
            for (const auto& one : report.at(list).as_array())
                all += one.at("name").as_string().c_str() + std::string(" ");
            return all;
        };
        findings = names("findings");
        notes = names("notes");
        CHECK(result.code == (findings.empty() ? 0 : 1));
    };
    {
        const OfficeService service(office);
        CHECK(service.page(1).status == 200);
        examine();
        CHECK(findings.empty());
        CHECK_THAT(notes, Catch::Contains("synced ") && Catch::Contains("relay ") && Catch::Contains("outbox ") &&
                              Catch::Contains("outbox_position "));
    }
    {
        office.run_sql("CREATE ROLE mallory LOGIN");
        postgres::Connection stranger({.url = office.url_of("mallory"), .patience = std::chrono::seconds(20)});
        stranger.run("SELECT pg_advisory_lock(1279345732, " + std::to_string(postgres::outbox_lock) + ")");
        examine();
        CHECK_THAT(findings, Catch::Contains("relay_foreign "));
    }
    office.run_sql("UPDATE larder.submissions SET score = 1");
    examine();
    CHECK_THAT(findings, Catch::Contains("nobody_relays ") && Catch::Contains("outbox_lag ") &&
                             !Catch::Contains("long_transaction "));
    postgres::Connection slow({.url = office.url, .patience = std::chrono::seconds(20)});
    slow.run("BEGIN; UPDATE larder.submissions SET score = 2");
    office.run_sql(
        "INSERT INTO larder.outbox(assignment_id, kind, at) VALUES (1, 'submission', now() - interval '1 hour')");
    examine();
    CHECK_THAT(findings, Catch::Contains("long_transaction ") && Catch::Contains("outbox_kept "));
    server.stop();
    examine();
    CHECK_THAT(findings, Catch::Contains("database_unreachable "));
}

TEST_CASE("two databases are not taken for one, nor a text for an assignment's id", "[postgres]") {
    Office office, other;
    office.make_school();
    other.make_school();
    const CommandResult refused =
        office.run({"analytics", "1", "--db", office.url_of("web"), "--relay-db", other.url_of("relay")});
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("are not the same database"));
    CHECK(office.state_of("1") == "miss");
    CHECK_THAT(office.run({"doctor", "--db", other.url_of("web"), "--relay-db", other.url_of("relay")}).out,
               Catch::Contains("other_database: "));
    office.run_sql("CREATE TABLE tasks(id int PRIMARY KEY, name text)");
    const CommandResult text =
        office.run({"triggers", "--db", office.url, "--table", "tasks", "--assignment-column", "name", "--install"});
    CHECK(text.code == 3);
    CHECK_THAT(text.err, Catch::Contains("has no whole numbers"));
}

TEST_CASE("options that nothing would come of are refused", "[postgres]") {
    Office office;
    office.make_school();
    const auto refusal = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"analytics", "1"});
        return office.run(office.with_database(std::move(more))).err;
    };
    CHECK_THAT(refusal({"--fleet-tier", "true"}), Catch::Contains("name them by --nats"));
    std::ofstream(office.file("larder.toml")) << "[serve]\ndb = \"" << office.url_of("web") << "\"\nrelay-db = \""
                                              << office.url_of("relay") << "\"\nfleet-tier = true\n";
    CHECK_THAT(office.run({"config", "--check", "--config", office.file("larder.toml")}).out +
                   office.run({"config", "--check", "--config", office.file("larder.toml")}).err,
               Catch::Contains("name them by --nats"));
    CHECK_THAT(refusal({"--nats-credentials", "x"}), Catch::Contains("name them by --nats"));
    CHECK_THAT(office.run({"listen", "--nats", "nats://127.0.0.1:1"}).err, Catch::Contains("name it by --db"));
}
