// Steering a running service: warming, jobs, notices, stale documents, and what its log says of those who may not.
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/cache_keys.hpp"
#include "core/warm_queue.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"
#include "tools/warm_thread.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

json::object object_of(const HttpAnswer& answer) { return json::parse(answer.body).as_object(); }

/// Assignments 1 to 3, and those from 101 to `last` beside them.
struct LargeSchool : ServedSchool {
    explicit LargeSchool(int last) {
        sql("BEGIN");
        for (int id = 101; id <= last; ++id)
            sql("INSERT INTO assignments(assignment_id, author_id) VALUES (" + std::to_string(id) + ", 9)");
        sql("COMMIT");
    }
    static std::string ids(int first, int last) {
        std::string text = "{\"ids\":[" + std::to_string(first);
        for (int id = first + 1; id <= last; ++id) text += "," + std::to_string(id);
        return text + "]}";
    }
    bool has(const Cache& at, AssignmentId id) const { return at.contains(stats_key(id)); }
};

bool job_ends(const Service& service, std::int64_t job, json::object& seen, const std::string& headers = {}) {
    return eventually([&] {
        seen = object_of(service.get("/api/cache/jobs/" + std::to_string(job), headers));
        return seen.at("state") == "done";
    });
}

std::size_t count_in(const std::string& log, std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
}

}  // namespace

TEST_CASE("a job of warming is run by the service, and survives the death of a worker", "[serve]") {
    const LargeSchool school(130);
    Service service(school);
    const HttpAnswer accepted = service.post("/api/cache/warm/", LargeSchool::ids(101, 130));
    CHECK(accepted.status == 202);
    const std::int64_t job = object_of(accepted).at("job_id").as_int64();
    ::kill(std::stoi(accepted.header("X-Worker")), SIGKILL);
    json::object ended;
    REQUIRE(job_ends(service, job, ended));
    CHECK(ended.at("warmed") == 30);
    const Cache cache = school.cache();
    for (int id = 101; id <= 130; ++id) CHECK(school.has(cache, id));
    CHECK(service.get(analytics(115)).header("X-Cache") == "hit");
    CHECK(service.log().find("Async cache warming complete: 30 warmed, 0 failed") != std::string::npos);
}

TEST_CASE("a job that a supervisor left is gone on with by the next one", "[serve]") {
    const LargeSchool school(130);
    WarmQueue queue(school.file("school.db"), school.file("cache") + "/default.seg");
    std::vector<AssignmentId> ids;
    for (int id = 101; id <= 130; ++id) ids.push_back(id);
    const WarmJobId job = *queue.push(ids, 10);
    const Service service(school);
    json::object ended;
    REQUIRE(job_ends(service, job, ended));
    CHECK(ended.at("warmed") == 30);
}

TEST_CASE("teachers warm what is theirs, an admin steers all, and the log says why others may not", "[serve]") {
    const ServedSchool school;
    const Service service(school, with_key(school));
    CHECK(service.post("/api/teachers/7/warm/", "").status == 401);
    CHECK(service.post("/api/teachers/7/warm/", "", bearer(Role::teacher, 8)).status == 403);
    const HttpAnswer warmed = service.post("/api/teachers/7/warm/", "", bearer(Role::teacher, 7));
    CHECK(warmed.status == 200);
    CHECK(object_of(warmed).at("warmed") == 2);
    CHECK(service.get(analytics(1), bearer(Role::teacher, 7)).header("X-Cache") == "hit");

    const std::string secret_text = "x.y." + std::string(43, 'z');
    CHECK(service.post("/api/cache/invalidate/", R"({"all":true})", "Authorization: Bearer " + secret_text + "\r\n")
              .status == 401);
    CHECK(service.post("/api/cache/invalidate/", R"({"all":true})", bearer(Role::teacher, 7)).status == 403);
    CHECK(service.get(analytics(1), bearer(Role::teacher, 7)).header("X-Cache") == "hit");
    CHECK(service.post("/api/cache/invalidate/", R"({"all":true})", bearer(Role::admin, 1)).status == 200);
    CHECK(service.get(analytics(1), bearer(Role::teacher, 7)).header("X-Cache") == "miss");

    const std::string log = service.log();
    CHECK(log.find("at 127.0.0.1 refused with 401: its token: there is none") != std::string::npos);
    CHECK(log.find("it takes an admin's role") != std::string::npos);
    CHECK(log.find("Audit: user 1 (admin) at 127.0.0.1 invalidated everything: notice ") != std::string::npos);
    CHECK(log.find(secret_text) == std::string::npos);
}

TEST_CASE("many refused requests are a few lines of the log", "[serve]") {
    const ServedSchool school;
    const Service service(school, with_key(school));
    for (int i = 0; i < 200; ++i) CHECK(service.get(analytics(1)).status == 401);
    const std::size_t lines = count_in(service.log(), "refused with 401");
    CHECK(lines > 0);
    CHECK(lines <= 40);  // 10 a worker and 10 s
}

TEST_CASE("many failed requests are a few lines of the log", "[serve]") {
    const ServedSchool school;
    const Service service(school);
    std::filesystem::rename(school.file("school.db"), school.file("away.db"));
    for (int i = 0; i < 200; ++i) CHECK(service.get(analytics(1)).status == 503);
    const std::size_t lines = count_in(service.log(), "Assignment 1: ");
    CHECK(lines > 0);
    CHECK(lines < 100);
}

TEST_CASE("a client that asks before it sends a body is told to go on", "[serve]") {
    const ServedSchool school;
    const Service service(school);
    const std::string body = R"({"ids":[1]})";
    HttpClient client(service.port());
    REQUIRE(
        client.send("POST /api/cache/warm/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n"));
    CHECK(client.receive().status == 100);
    REQUIRE(client.send(body));
    CHECK(client.receive().status == 200);
}

TEST_CASE("each invalidation is a line of the audit log", "[serve]") {
    const ServedSchool school;
    const Service service(school, {"--audit-log", school.file("audit.jsonl")});
    const HttpAnswer answer = service.post("/api/cache/invalidate/", R"({"ids":[1,2]})");
    const json::object line = json::parse(text_of(school.file("audit.jsonl"))).as_object();
    CHECK(line.at("notice") == object_of(answer).at("notice"));
    CHECK(line.at("what") == "assignments 1, 2");
    // By the socket, whoever sends them.
    const auto notice = run_larder(school.file("cache"), {"invalidate", "--author", "7", "--json"}).json();
    CHECK(notice.at("through") == "socket");
    const std::string text = text_of(school.file("audit.jsonl"));
    const json::object by_socket = json::parse(text.substr(text.find('\n') + 1)).as_object();
    CHECK(by_socket.at("notice") == notice.at("notice"));
    CHECK(by_socket.at("what") == "tag author:7");
    CHECK_THAT(std::string(by_socket.at("who").as_string()),
               Catch::StartsWith("uid " + std::to_string(::geteuid()) + ", process "));
    CHECK(exit_code(school, "unwritable",
                    {"serve", "--db", school.file("school.db"), "--listen", "127.0.0.1:0", "--audit-log", "/no/x"}) ==
          3);
}

TEST_CASE("past its soft ttl a document is served at once, and computed anew behind it", "[serve]") {
    const ServedSchool school;
    const Service service(school, {"--soft-ttl", "300ms", "--ttl", "1h"});
    REQUIRE(service.get(analytics(1)).header("X-Cache") == "miss");
    std::string stale;
    REQUIRE(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1));
        stale = answer.header("X-Cache") == "stale" ? answer.body : std::string();
        return !stale.empty();
    }));
    CHECK(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1));
        return answer.header("X-Cache") == "hit" && answer.body != stale;
    }));
    CHECK(school.cache().key_use(stats_key(1)).misses == 1);
}

TEST_CASE("while the database is gone an expired document stands in, where that is allowed", "[serve]") {
    const ServedSchool school;
    const Service service(school, {"--ttl", "400ms", "--stale-if-error", "1h"});
    const HttpAnswer first = service.get(analytics(1));
    REQUIRE(first.status == 200);
    std::filesystem::rename(school.file("school.db"), school.file("away.db"));
    REQUIRE(eventually([&] { return service.get(analytics(1)).header("X-Cache") == "stale"; }));
    CHECK(service.get(analytics(1)).body == first.body);
    CHECK(service.get(analytics(2)).status == 503);
    std::filesystem::rename(school.file("away.db"), school.file("school.db"));
    CHECK(eventually([&] { return service.get(analytics(1)).header("X-Cache") == "miss"; }));
}

TEST_CASE("two hundred grades, one by one, cost a few computations", "[serve]") {
    ServedSchool school;
    const Service service(school, {"--recompute-interval", "1s"});
    service.get(analytics(1));
    std::atomic<bool> over{false};
    std::thread reader([&] {
        while (!over) service.get(analytics(1));
    });
    for (int i = 0; i < 200; ++i)
        school.sql("UPDATE submissions SET score = " + std::to_string(i % 100) + " WHERE submission_id = 11");
    REQUIRE(eventually([&] { return school.outbox_rows() == 0; }));
    over = true;
    reader.join();
    const auto document = object_of(service.get(analytics(1)));
    CHECK(document.at("statistics").at("min") == 80.0);  // 99, 80 and 90
    CHECK(school.cache().key_use(stats_key(1)).misses < 40);
}

TEST_CASE("what is published is warmed where that is wanted", "[serve]") {
    ServedSchool school;
    const Service service(school, {"--warm-on-publish", "true"});
    school.sql("UPDATE assignments SET status = 'published' WHERE assignment_id = 2");
    const Cache cache = school.cache();
    CHECK(eventually([&] { return cache.contains(stats_key(2)); }));
    CHECK_FALSE(cache.contains(stats_key(1)));
}

TEST_CASE("a publication that the database cannot take yet holds no change up, and is not lost", "[serve]") {
    ServedSchool school;
    const Service service(school, {"--warm-on-publish", "true"});
    REQUIRE(service.get(analytics(1)).status == 200);
    const Cache cache = school.cache();
    const auto said = [&service](const char* text) { return service.log().find(text) != std::string::npos; };
    school.sql("UPDATE assignments SET status = 'published' WHERE assignment_id = 2; BEGIN IMMEDIATE");
    school.sql("UPDATE submissions SET score = 61 WHERE submission_id = 11; COMMIT; BEGIN IMMEDIATE");
    REQUIRE(eventually([&] { return !cache.contains(stats_key(1)); }));
    CHECK_FALSE(said("cannot be used"));
    CHECK(eventually([&] { return said("Warming is put off: ") || said("(published): job"); }));
    school.sql("COMMIT");
    CHECK(eventually([&] { return cache.contains(stats_key(2)); }));
}

TEST_CASE("of what is published only so many wait for the database", "[serve]") {
    ServedSchool school;
    tools::ServeConfig config;
    config.cache = {.directory = school.file("cache"), .size_bytes = 16ULL << 20};
    config.database = tools::DatabaseOption({school.file("school.db"), ""}, "");
    tools::WarmThread warming(config, Cache::open(config.cache));
    WarmQueue queue(school.file("school.db"), school.cache().segment_path());
    school.sql("BEGIN IMMEDIATE");
    warming.warm_published(std::vector<AssignmentId>(tools::WarmThread::max_published_waiting + 1, 1));
    school.sql("COMMIT");
    REQUIRE(eventually([&] { return !queue.recent(1).empty(); }));
    CHECK(queue.recent(1).front().total == tools::WarmThread::max_published_waiting);
}

TEST_CASE("times and switches of serve that are none are usage errors", "[serve]") {
    const ServedSchool school;
    for (const auto& more : {std::vector<std::string>{"--warm-daily", "25:00"},
                             {"--warm-on-publish", "maybe"},
                             {"--soft-ttl", "soon"},
                             {"--stale-if-error", "-1"},
                             {"--recompute-interval", "x"},
                             {"--recompute-interval", "2s"},
                             {"--soft-ttl", "300s"}}) {
        INFO(more.front());
        CHECK(exit_code(school, "usage", {"serve", "--db", school.file("school.db"), more[0], more[1]}) == 2);
    }
}
