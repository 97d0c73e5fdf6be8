// The faults of the service that this one replaces, each shown fixed.
#include <catch2/catch.hpp>
#include <thread>

#include "core/outbox_relay.hpp"
#include "tests/core/stats_cache_fixture.hpp"
#include "tests/support/child_process.hpp"

using namespace larder;
using namespace std::chrono_literals;
using larder::test::CachedSchool;

namespace {

void view(CachedSchool& school, AssignmentId id, int times) {
    for (int i = 0; i < times; ++i) school.stats.get_or_calculate(id);
}

}  // namespace

TEST_CASE("known fault: concurrent hits are all counted, in threads", "[tsan]") {
    CachedSchool school;
    school.page(1);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&school] { view(school, 1, 500); });
    for (std::thread& thread : threads) thread.join();
    CHECK(school.hits_and_misses(1) == "2000/1");
}

TEST_CASE("known fault: concurrent hits are all counted, in processes") {
    CachedSchool school;
    school.page(1);
    std::vector<test::ChildProcess> children;
    for (int i = 0; i < 3; ++i)
        children.push_back(test::ChildProcess::start([&school](test::Channel&) {
            view(school, 1, 500);
            return 0;
        }));
    for (test::ChildProcess& child : children) CHECK(child.wait().exited_with(0));
    CHECK(school.hits_and_misses(1) == "1500/1");
}

TEST_CASE("known fault: 24 hours roll on and are not begun anew by every touch") {
    CachedSchool school;
    view(school, 1, 3);
    CHECK(school.hits_and_misses(1) == "2/1");
    for (int hour = 0; hour < 23; ++hour) {
        school.clock->advance(1h);
        view(school, 1, 1);
    }
    CHECK(school.hits_and_misses(1) == "2/24");
    school.clock->advance(1h);
    view(school, 1, 1);
    CHECK(school.hits_and_misses(1) == "0/24");
    school.clock->advance(24h);
    CHECK(school.hits_and_misses(1) == "0/0");
}

TEST_CASE("known fault: the cache is asked first, and only a miss computes") {
    CachedSchool school;
    view(school, 1, 5);
    CHECK(school.watch.loads == 1);
}

TEST_CASE("known fault: every reader uses the cache, and fills it for every other one") {
    CachedSchool school;
    AssignmentStatsCache other(Cache::open(school.cache_options()), school.factory());
    CHECK(school.page(1) == "miss 90.0");
    CHECK(CachedSchool::page_through(other, 1) == "hit 90.0");
    CHECK(school.watch.loads == 1);
}

TEST_CASE("known fault: a change is announced after its commit, so that the old row is not cached again") {
    CachedSchool school;
    OutboxRelay relay(school.path(), school.stats.notices(), {});
    relay.poll();
    school.page(1);
    school.sql("BEGIN; UPDATE submissions SET score = 55 WHERE submission_id = 10");
    CHECK(relay.poll() == 0);
    CHECK(school.page(1) == "hit 90.0");
    school.sql("COMMIT");
    CHECK(relay.poll() == 1);
    CHECK(school.page(1) == "miss 55.0");
}

TEST_CASE("known fault: there is one layer, and the mean is the true one after a change") {
    CachedSchool school;
    CHECK(school.page(1) == "miss 90.0");
    school.add_score(11, 1, "55");
    school.relay();
    CHECK(school.page(1) == "miss 72.5");
    CHECK(school.page(1) == "hit 72.5");
}

TEST_CASE("known fault: changes of enrolment, due date, title and maximum are noticed") {
    CachedSchool school;
    for (const char* change :
         {"assigned_count = 8", "due_at = '2030-01-01T00:00:00Z'", "title = 'Report'", "max_score = 50"}) {
        INFO(change);
        school.page(1);
        REQUIRE(school.page(1) == "hit 90.0");
        school.sql(std::string("UPDATE assignments SET ") + change + " WHERE assignment_id = 1");
        school.relay();
        CHECK(school.page(1) == "miss 90.0");
    }
    const auto document = school.document(1);
    CHECK(document.at("assignment_title").as_string() == "Report");
    CHECK(document.at("max_score").as_double() == 50.0);
    CHECK(document.at("submission_stats").at("assigned_count").as_int64() == 8);
}

TEST_CASE("known fault: a score between 89 and 90 percent has its bucket") {
    CachedSchool school;
    school.sql("UPDATE submissions SET score = 89.5 WHERE submission_id = 10");
    school.relay();
    const auto document = school.document(1);
    CHECK(document.at("distribution").at("buckets").at("B").at("count").as_int64() == 1);
    CHECK(document.at("distribution").at("total").as_int64() == 1);
}
