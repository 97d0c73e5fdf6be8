// The endpoints that steer the cache, before a real cache and a real database, without sockets.
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "core/warm_runner.hpp"
#include "tests/core/stats_cache_fixture.hpp"
#include "tools/http/control_service.hpp"

using namespace larder;
using namespace larder::tools;
using test::CachedSchool;

namespace {

struct Office : CachedSchool {
    Office() : stats_with_queue(cache, [this] { return open_source(path()); }, {.warm_queue = &queue}) {
        for (AssignmentId id = 3; id <= 8; ++id) add_assignment(id, "8");
        relay();
    }
    Answer ask(Endpoint endpoint, std::string body, std::int64_t id = 0) {
        Call call{.endpoint = endpoint, .id = id, .caller = {.user_id = 99, .role = Role::admin}};
        call.body = std::move(body);
        call.client = "127.0.0.1";
        std::optional<Answer> at_once = control.answer_at_once(call);
        return at_once ? std::move(*at_once) : control.answer(call);
    }
    unsigned status(Endpoint endpoint, const std::string& body) { return ask(endpoint, body).status; }
    static boost::json::object json(const Answer& answer) { return boost::json::parse(answer.body()).as_object(); }
    bool has(AssignmentId id) { return cache.contains("assignment_stats:" + std::to_string(id)); }
    /// How many of the first three are still there after that notice.
    int left_after(const std::string& body) {
        stats.warm({1, 2, 3});
        CHECK(status(Endpoint::invalidate, body) == 200);
        return has(1) + has(2) + has(3);
    }
    std::string audited() {
        std::ifstream file(audit_path);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    WarmQueue queue{path(), cache.segment_path()};
    std::string audit_path = directory().file("audit.jsonl");
    AuditLog audit{audit_path};
    AssignmentStatsCache stats_with_queue;
    ControlService control{stats_with_queue, cache, queue, audit};
};

}  // namespace

TEST_CASE("a few assignments are warmed at once, and the result says how many", "[http]") {
    Office office;
    const Answer answer = office.ask(Endpoint::warm, R"({"ids":[1,2,999]})");
    CHECK(answer.status == 200);
    const auto result = Office::json(answer);
    CHECK(result.at("total") == 3);
    CHECK(result.at("warmed") == 2);
    CHECK(result.at("failed") == 1);
    CHECK(result.at("async_scheduled") == false);
    CHECK(result.contains("duration_seconds"));
    CHECK_FALSE(result.contains("job_id"));
    CHECK(office.has(1));
    CHECK_FALSE(office.has(3));
}

TEST_CASE("what takes long becomes a job, which can be looked at until it has ended", "[http]") {
    Office office;
    const Answer answer = office.ask(Endpoint::warm, R"({"ids":[1,2,3,4,5,6],"batch_size":4})");
    CHECK(answer.status == 202);
    const auto result = Office::json(answer);
    CHECK(result.at("async_scheduled") == true);
    const std::int64_t job = result.at("job_id").as_int64();
    CHECK(answer.headers.back().second == "/api/cache/jobs/" + std::to_string(job));
    CHECK(Office::json(office.ask(Endpoint::job, "", job)).at("state") == "queued");

    WarmRunner runner(office.queue, [&](AssignmentId id) { return office.stats.warm_one(id); }, {});
    CHECK(runner.step());
    CHECK(Office::json(office.ask(Endpoint::job, "", job)).at("done") == 4);
    while (runner.step()) {}
    const auto ended = Office::json(office.ask(Endpoint::job, "", job));
    CHECK(ended.at("state") == "done");
    CHECK(ended.at("warmed") == 6);
    CHECK(Office::json(office.ask(Endpoint::jobs, "")).at("jobs").as_array().size() == 1);
    CHECK(office.ask(Endpoint::job, "", job + 1).status == 404);
}

TEST_CASE("a teacher's assignments are warmed without a body, and with a batch size", "[http]") {
    Office office;
    office.page(1);  // from now on it is known how long one takes
    CHECK(Office::json(office.ask(Endpoint::warm_teacher, "", 8)).at("warmed") == 6);
    CHECK(Office::json(office.ask(Endpoint::warm_teacher, R"({"batch_size":2})", 8)).at("total") == 6);
    CHECK(Office::json(office.ask(Endpoint::warm_teacher, "", 12345)).at("total") == 0);
    CHECK(office.ask(Endpoint::warm_teacher, R"({"ids":[1]})", 8).status == 400);
}

TEST_CASE("a full queue is 503", "[http]") {
    Office office;
    const std::vector<AssignmentId> one{1};
    while (office.queue.push(one, 1)) {}
    CHECK(office.status(Endpoint::warm, R"({"ids":[1,2,3,4,5,6]})") == 503);
}

TEST_CASE("invalidation by assignments, author, course, tag, namespace and of everything", "[http]") {
    Office office;
    CHECK(office.left_after(R"({"ids":[1,3]})") == 1);
    CHECK(office.left_after(R"({"author":7})") == 1);
    CHECK(office.left_after(R"({"course":"Law"})") == 2);
    CHECK(office.left_after(R"({"tag":"author:8"})") == 2);
    CHECK(office.left_after(R"({"namespace":"assignment_stats"})") == 0);
    CHECK(office.left_after(R"({"namespace":"assignment_stats:"})") == 0);
    CHECK(office.left_after(R"({"all":true})") == 0);
    const auto first = Office::json(office.ask(Endpoint::invalidate, R"({"all":true})")).at("notice").as_int64();
    CHECK(Office::json(office.ask(Endpoint::invalidate, R"({"ids":[1]})")).at("notice").as_int64() > first);
}

TEST_CASE("an author's access entries go with his documents", "[http]") {
    Office office;
    office.page(1);
    const int before = office.watch.owner_lookups;
    office.ask(Endpoint::invalidate, R"({"author":7})");
    office.page(1);
    CHECK(office.watch.owner_lookups == before + 1);
}

TEST_CASE("each invalidation is in the audit log: who, what, when, and its notice", "[http]") {
    Office office;
    const auto notice = Office::json(office.ask(Endpoint::invalidate, R"({"tag":"a \"b\""})")).at("notice").as_int64();
    office.ask(Endpoint::invalidate, R"({"tag":7})");
    const std::string text = office.audited();
    REQUIRE(std::count(text.begin(), text.end(), '\n') == 1);
    const auto line = boost::json::parse(text).as_object();
    CHECK(line.at("who") == "user 99 (admin) at 127.0.0.1");
    CHECK(line.at("what") == "tag a \"b\"");
    CHECK(line.at("notice") == notice);
    CHECK(line.at("at").as_string().starts_with("20"));
}

TEST_CASE("an audit log that was moved away is made anew", "[http]") {
    Office office;
    office.ask(Endpoint::invalidate, R"({"tag":"one"})");
    const std::string away = office.audit_path + ".1";
    REQUIRE(std::rename(office.audit_path.c_str(), away.c_str()) == 0);
    office.ask(Endpoint::invalidate, R"({"tag":"two"})");
    CHECK_THAT(office.audited(), Catch::Contains("tag two") && !Catch::Contains("tag one"));
    office.audit.write_to(away);
    office.ask(Endpoint::invalidate, R"({"tag":"three"})");
    CHECK_THAT(office.audited(), !Catch::Contains("tag three"));
    CHECK_THROWS(office.audit.write_to("/nowhere/audit.jsonl"));
    office.ask(Endpoint::invalidate, R"({"tag":"four"})");
    office.audit_path = away;
    CHECK_THAT(office.audited(),
               Catch::Contains("tag one") && Catch::Contains("tag three") && Catch::Contains("tag four"));
}

TEST_CASE("an audit log that cannot be made anew goes on where it was", "[http]") {
    Office office;
    const std::string away = office.audit_path + ".1";
    office.ask(Endpoint::invalidate, R"({"tag":"one"})");
    REQUIRE(std::rename(office.audit_path.c_str(), away.c_str()) == 0);
    for (const bool is_pipe : {true, false}) {
        if (is_pipe) REQUIRE(::mkfifo(office.audit_path.c_str(), 0600) == 0);
        if (!is_pipe) REQUIRE(::mkdir(office.audit_path.c_str(), 0700) == 0);
        CHECK_THROWS(AuditLog::check(office.audit_path));
        office.ask(Endpoint::invalidate, R"({"tag":"two"})");
        std::filesystem::remove(office.audit_path);
    }
    office.audit_path = away;
    const std::string text = office.audited();
    CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}

TEST_CASE("an audit log is looked at before it is wanted, and not made", "[http]") {
    const test::ScopedDirectory directory;
    const std::string path = directory.file("audit.jsonl");
    CHECK_NOTHROW(AuditLog::check(path));
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK_THROWS_WITH(AuditLog::check("/nowhere/audit.jsonl"), Catch::Contains("name another file"));
}

TEST_CASE("bodies that say nothing clear are 400, and change nothing", "[http]") {
    Office office;
    office.stats.warm({1, 2, 3});
    for (const char* body : {"",
                             "[]",
                             "{",
                             "{}",
                             "null",
                             R"({"ids":[]})",
                             R"({"ids":1})",
                             R"({"ids":["1"]})",
                             R"({"ids":[1.5]})",
                             R"({"ids":[1],"all":true})",
                             R"({"all":false})",
                             R"({"all":1})",
                             R"({"tag":""})",
                             R"({"tag":7})",
                             R"({"namespace":":"})",
                             R"({"author":"7"})",
                             R"({"ids":[0]})",
                             R"({"ids":[1,-5]})",
                             R"({"author":-7})",
                             R"({"tags":"x"})",
                             R"({"ids":[1],"other":1})",
                             R"({"ids":[99999999999999999999]})"}) {
        INFO(body);
        CHECK(office.status(Endpoint::invalidate, body) == 400);
    }
    const std::string long_tag(257, 't');
    CHECK(office.status(Endpoint::invalidate, "{\"tag\":\"" + long_tag + "\"}") == 400);
    CHECK(office.has(1) + office.has(2) + office.has(3) == 3);
    for (const char* body : {"", "{}", R"({"ids":[]})", R"({"ids":[1],"batch_size":0})",
                             R"({"ids":[1],"batch_size":1001})", R"({"ids":[1],"more":2})"}) {
        INFO(body);
        CHECK(office.status(Endpoint::warm, body) == 400);
    }
}

TEST_CASE("a database that is gone is 503", "[http]") {
    Office office;
    std::filesystem::remove(office.path());
    CHECK(office.status(Endpoint::warm, R"({"ids":[1,2,3,4,5,6]})") == 503);
    CHECK(office.ask(Endpoint::job, "", 1).status == 503);
}

TEST_CASE("an audit log that cannot be written is said before anything is served", "[http]") {
    CHECK_THROWS_WITH(AuditLog("/nowhere/audit.jsonl"), Catch::Contains("name another file"));
}
