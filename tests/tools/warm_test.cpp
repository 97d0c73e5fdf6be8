// larder warm, as a person or a script runs it.
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "core/cache_keys.hpp"
#include "core/warm_queue.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"

using namespace larder;
using namespace larder::test;

namespace {

struct Office : ServedSchool {
    CommandResult warm(std::vector<std::string> arguments) const {
        const std::vector<std::string> common{"warm", "--db", file("school.db"), "--size", "16MiB"};
        arguments.insert(arguments.begin(), common.begin(), common.end());
        return run_larder(file("cache"), arguments);
    }
    /// Each with one submission, which takes long to read: a turn of many is under way for seconds.
    void make_slow() {
        sql("INSERT INTO submissions(submission_id, assignment_id) SELECT 1000 + assignment_id, assignment_id "
            "FROM assignments");
        sql("ALTER TABLE submissions RENAME TO handed_in");
        sql("CREATE VIEW submissions AS SELECT * FROM handed_in WHERE (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
            "SELECT x + 1 FROM n WHERE x < 1000000) SELECT count(*) FROM n) > 0");
    }
    /// Nothing was measured so far: five and more are too many to warm at once.
    void add_assignments() {
        for (int id = 101; id <= 130; ++id)
            sql("INSERT INTO assignments(assignment_id, author_id) VALUES (" + std::to_string(id) + ", 9)");
    }
    bool has(AssignmentId id) const { return cache().contains(stats_key(id)); }
    std::string segment() const { return file("cache") + "/default.seg"; }
};

}  // namespace

TEST_CASE("a few assignments are warmed at once, by their ids or their author", "[cli]") {
    const Office office;
    const CommandResult result = office.warm({"1", "3"});
    CHECK(result.code == 0);
    CHECK(result.out.find("2 warmed, 0 failed, ") == 0);
    CHECK(office.has(1));
    CHECK_FALSE(office.has(2));
    CHECK(office.warm({"--teacher", "7", "--json"}).json().at("warmed") == 2);
    CHECK(office.has(2));
}

TEST_CASE("one that fails makes the exit code 1, and stops no other", "[cli]") {
    const Office office;
    const CommandResult result = office.warm({"999", "1"});
    CHECK(result.code == 1);
    CHECK(result.out.find("1 warmed, 1 failed") == 0);
    CHECK(result.err.find("999") != std::string::npos);
    CHECK(office.has(1));
}

TEST_CASE("a job that no service takes is run by the command itself", "[cli]") {
    Office office;
    office.add_assignments();
    const CommandResult result = office.warm({"--all", "--json"});
    CHECK(result.code == 0);
    CHECK(result.json().at("total") == 33);
    CHECK(result.json().at("warmed") == 33);
    CHECK(result.json().at("async_scheduled") == true);
    CHECK(office.has(130));
}

TEST_CASE("the command takes turn after turn of its job without a rest", "[cli]") {
    Office office;
    office.add_assignments();
    const CommandResult result = office.warm({"--all", "--batch-size", "1"});
    CHECK(result.code == 0);  // with a second's rest after each it would not end within a command's time
    CHECK(result.out.find("33 warmed, 0 failed") == 0);
}

TEST_CASE("Ctrl-C in the midst of a turn ends the command soon, and says how to go on", "[cli]") {
    Office office;
    office.add_assignments();
    office.make_slow();
    LarderCommand command(office.file("cache"),
                          {"warm", "--db", office.file("school.db"), "--size", "16MiB", "--all", "--batch-size", "33"});
    WarmQueue queue(office.file("school.db"), office.segment());
    REQUIRE(eventually([&] {
        const auto jobs = queue.recent(1);
        return !jobs.empty() && jobs.front().done > 0;
    }));
    command.signal(SIGINT);
    const CommandResult result = command.finish();
    CHECK(result.code == 3);
    CHECK_THAT(result.err,
               Catch::Contains("job 1 is left with 0 of 33 done") && Catch::Contains("larder warm --job 1"));
    CHECK(queue.take_turn(1)->ids.size() == 33);
}

TEST_CASE("a job fills the cache that it was made for, whoever serves another", "[cli][serve]") {
    Office office;
    office.add_assignments();
    const Service service(office);
    CHECK(office.warm({"--all", "-c", "other"}).out.find("33 warmed, 0 failed") == 0);
    const Cache other = Cache::open({.name = "other", .directory = office.file("cache"), .create = false});
    CHECK(other.contains(stats_key(130)));
    CHECK_FALSE(office.has(130));
    CHECK(office.warm({"--job", "1"}).err.find("there is no job 1 of this cache") != std::string::npos);
}

TEST_CASE("a detached job waits for a service, or for whoever follows it", "[cli]") {
    Office office;
    office.add_assignments();
    const CommandResult detached = office.warm({"--all", "--detach"});
    CHECK(detached.code == 0);
    CHECK(detached.out == "job 1: 33 assignments\n");
    CHECK_FALSE(office.has(130));
    CHECK(office.warm({"--job", "1", "--json"}).json().at("warmed") == 33);
    CHECK(office.has(130));
    CHECK(office.warm({"--job", "1"}).out.find("33 warmed, 0 failed") == 0);
    CHECK(office.warm({"--job", "2"}).code == 1);
}

TEST_CASE("a job is run by a service, where there is one", "[cli][serve]") {
    Office office;
    office.add_assignments();
    const Service service(office);
    CHECK(office.warm({"--all", "--json"}).json().at("warmed") == 33);
    CHECK(service.log().find("Async cache warming complete: 33 warmed, 0 failed") != std::string::npos);
}

TEST_CASE("active assignments have recent submissions, or were asked for", "[cli]") {
    Office office;
    office.sql(
        "UPDATE submissions SET submitted_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-3 days') "
        "WHERE assignment_id = 3");
    CHECK(office.warm({"--active", "1d", "--json"}).json().at("total") == 0);
    CHECK(office.warm({"--active", "7d", "--json"}).json().at("total") == 1);
    CHECK(office.has(3));
}

TEST_CASE("what is warmed by hand lives as the options of documents say", "[cli]") {
    const Office office;
    REQUIRE(office.warm({"1", "--ttl-min", "2h", "--ttl-max", "3h"}).code == 0);
    REQUIRE(office.warm({"2", "--ttl", "5s"}).code == 0);
    const auto ttl_ms = [&office](AssignmentId id) {
        return run_larder(office.file("cache"), {"get", stats_key(id), "--meta", "--json"})
            .json()
            .at("ttl_ms")
            .to_number<std::int64_t>();
    };
    CHECK(ttl_ms(1) > 3'600'000);
    CHECK(ttl_ms(2) <= 5'000);
    CHECK(office.warm({"3", "--soft-ttl", "300s"}).code == 2);
}

TEST_CASE("which assignments has to be said in one way", "[cli]") {
    const Office office;
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                  {"1", "--all"},
                                                  {"--all", "--teacher", "7"},
                                                  {"x"},
                                                  {"--active", "soon"},
                                                  {"--teacher", "0"},
                                                  {"--all", "--batch-size", "x"},
                                                  {"--all", "--batch-size", "0"},
                                                  {"--all", "--batch-size", "1001"}})
        CHECK(office.warm(wrong).code == 2);
}
