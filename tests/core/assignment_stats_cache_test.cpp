#include "core/assignment_stats_cache.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "shm/counters.hpp"
#include "shm/segment.hpp"
#include "tests/core/stats_cache_fixture.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"

using namespace larder;
using namespace std::chrono_literals;
using larder::test::CachedSchool;

using Lines = std::vector<std::string>;

TEST_CASE("the first look computes a document and the second finds its very bytes") {
    CachedSchool school;
    const auto first = school.stats.get_or_calculate(1);
    REQUIRE(first);
    CHECK(first->state == DocumentState::miss);
    CHECK(first->compute_time > 0ns);
    const auto second = school.stats.get_or_calculate(1);
    REQUIRE(second);
    CHECK(second->state == DocumentState::hit);
    CHECK(second->compute_time == 0ns);
    CHECK(second->bytes.value() == first->bytes.value());
    CHECK(school.cache.peek("assignment_stats:1").value() == first->bytes.value());
    CHECK(school.watch.loads == 1);
}

TEST_CASE("a hit asks the source nothing at all") {
    CachedSchool school;
    CHECK(school.page(1) == "miss 90.0");
    school.watch.broken = true;
    CHECK(school.page(1) == "hit 90.0");
    CHECK(school.stats.access().check({7, Role::teacher}, 1) == Access::ok);
}

TEST_CASE("an unknown assignment is none, counts nothing and leaves nothing under the documents' namespace") {
    CachedSchool school;
    CHECK(school.page(99) == "none");
    CHECK(school.page(99) == "none");
    CHECK(school.page(0) == "none");
    CHECK(school.page(-1) == "none");
    CHECK(school.cache.peek("assignment_stats:99").state() == State::none);
    CHECK_FALSE(school.cache.key_use("assignment_stats:99").tracked);
    CHECK(school.hits_and_misses(99) == "0/0");
    CHECK(school.watch.loads == 0);
    CHECK(school.watch.owner_lookups == 1);
}

TEST_CASE("an assignment that is deleted or made is noticed") {
    CachedSchool school;
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(3) == "none");
    school.sql("DELETE FROM assignments WHERE assignment_id = 1");
    school.add_assignment(3);
    school.relay();
    CHECK(school.page(1) == "none");
    CHECK(school.page(3) == "miss null");
}

TEST_CASE("an assignment that is deleted between access and computation is none") {
    CachedSchool school;
    CHECK(school.stats.access().ownership(1));
    school.sql("DELETE FROM assignments WHERE assignment_id = 1");
    CHECK(school.page(1) == "none");
    CHECK(school.cache.peek("assignment_stats:1").state() == State::none);
}

TEST_CASE("a document lives for its ttl") {
    CachedSchool school;
    school.page(1);
    school.clock->advance(299s);
    CHECK(school.page(1) == "hit 90.0");
    school.clock->advance(1s);
    CHECK(school.page(1) == "miss 90.0");
}

TEST_CASE("hits and misses are counted once each, and the rate says so") {
    CachedSchool school;
    CHECK(school.hits_and_misses(1) == "0/0");
    school.page(1);
    for (int i = 0; i < 3; ++i) school.page(1);
    CHECK(to_json(school.stats.hit_rate(1)) == R"({"hits":3,"misses":1,"total":4,"hit_rate_percentage":75.0,)"
                                               R"("cache_key":"assignment_stats:1","ttl_seconds":300})");
    CHECK(school.hits_and_misses(1) == "3/1");
    CHECK(school.hits_and_misses(2) == "0/0");
}

TEST_CASE("an invalidation takes the document and the access entry") {
    CachedSchool school;
    school.page(1);
    school.page(2);
    CHECK(school.stats.invalidate_assignment(1) > 0);
    CHECK(school.cache.peek("assignment_access:1").state() == State::none);
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(2) == "hit 50.0");
    const std::vector<AssignmentId> both{1, 2};
    school.stats.invalidate_assignments(both);
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(2) == "miss 50.0");
    CHECK(school.stats.invalidate_assignments({}) == 0);
}

TEST_CASE("so many invalidations that both namespaces go name every assignment all the same") {
    CachedSchool school;
    school.page(1);
    school.page(2);
    std::vector<AssignmentId> ids;
    for (AssignmentId id = 1'000; id <= 2'000; ++id) ids.push_back(id);
    ids.push_back(1);
    school.stats.invalidate_assignments(ids);
    CHECK(school.page(1) == "miss 90.0");
}

TEST_CASE("documents carry the tags of their author and their course") {
    CachedSchool school;
    school.page(1);
    school.page(2);
    school.cache.invalidate_tag("course:Law");
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(2) == "hit 50.0");
    school.cache.invalidate_tag("author:7");
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(2) == "miss 50.0");
}

TEST_CASE("a document read before a change and stored after its notice is not served") {
    CachedSchool school;
    school.watch.after_load = [&school, once = true]() mutable {
        if (!std::exchange(once, false)) return;
        school.sql("UPDATE submissions SET score = 55 WHERE submission_id = 10");
        school.relay();
    };
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(1) == "miss 55.0");
    CHECK(school.page(1) == "hit 55.0");
}

TEST_CASE("the lines of the log are those of the contract") {
    CachedSchool school;
    school.page(1);
    school.page(1);
    school.stats.invalidate_assignment(1);
    CHECK(school.book.take() == Lines{"DEBUG Cache MISS for assignment 1", "DEBUG Cache HIT for assignment 1",
                                      "INFO Invalidated stats cache for assignment 1"});
    school.watch.broken = true;
    CHECK_THROWS_AS(school.page(1), SourceError);
    school.watch.broken = false;
    CHECK(school.stats.access().ownership(1));
    school.watch.broken = true;
    CHECK_THROWS_AS(school.page(1), SourceError);
    CHECK(school.book.take() == Lines{"ERROR Computing assignment 1 failed: the disk is gone"});
}

TEST_CASE("while the source is away the log has one line, not one for each who asks") {
    CachedSchool school;
    for (const AssignmentId id : {1, 2}) CHECK(school.stats.access().ownership(id));
    school.book.take();
    school.watch.broken = true;
    for (int i = 0; i < 4; ++i) CHECK_THROWS_AS(school.page(1 + i % 2), SourceError);
    CHECK(school.book.take() == Lines{"ERROR Computing assignment 1 failed: the disk is gone"});
    RareLine line;
    CHECK(line.worth_writing("a") == "a");
    CHECK_FALSE(line.worth_writing("b"));
    std::optional<std::string> next;
    REQUIRE(test::eventually([&] { return (next = line.worth_writing("c")).has_value(); }));
    CHECK_THAT(*next, Catch::StartsWith("c (and ") && Catch::EndsWith(" more since the last line of this kind)"));
}

TEST_CASE("a failed computation is repeated by the next caller, or bridged by a stale document where allowed") {
    StatsCacheOptions options;
    options.stale_if_error = 60s;
    CachedSchool school(options);
    school.page(1);
    school.clock->advance(301s);
    school.page(2);
    CHECK(school.stats.access().ownership(1));
    school.watch.broken = true;
    CHECK(school.page(1) == "stale 90.0");
    school.watch.broken = false;
    CHECK(school.page(1) == "miss 90.0");
}

TEST_CASE("past its soft ttl a document costs its caller nothing, who may see it included") {
    StatsCacheOptions options;
    options.soft_ttl = 10s;
    CachedSchool school(options);
    school.page(1);
    school.clock->advance(11s);
    const Caller teacher{7, Role::teacher};
    CHECK(school.stats.access().check_cached(teacher, 1) == Access::ok);
    CHECK(school.stats.find(1)->state == DocumentState::stale);
    const int before = school.watch.owner_lookups;
    school.stats.refresh(1);
    CHECK(school.watch.owner_lookups == before + 1);
    school.clock->advance(9s);
    CHECK(school.stats.access().check_cached(teacher, 1) == Access::ok);
    CHECK(school.stats.find(1)->state == DocumentState::hit);
    school.clock->advance(285s);  // past the first lifetime: what was refreshed lives on
    CHECK(school.stats.access().check_cached(teacher, 1) == Access::ok);
}

TEST_CASE("a failure counts once, though who may see the document could not be read either") {
    StatsCacheOptions options;
    options.stale_if_error = 60s;
    CachedSchool school(options);
    school.page(1);
    school.watch.broken = true;
    school.clock->advance(301s);
    CHECK(school.page(1) == "stale 90.0");
    const auto view = shm::Segment::attach_read_only(school.cache.segment_path());
    CHECK(shm::read_totals(view.view())[shm::Counter::stale_on_error] == 1);
    CHECK(shm::read_totals(view.view())[shm::Counter::compute_failures] == 1);
}

TEST_CASE("warming that fails says why, though a stale document stands in") {
    StatsCacheOptions options;
    options.stale_if_error = 60s;
    CachedSchool school(options);
    school.page(1);
    school.clock->advance(301s);
    CHECK(school.stats.access().ownership(1));
    school.watch.broken = true;
    CHECK_THROWS_WITH(school.stats.warm_one(1), "the disk is gone");
}

TEST_CASE("many assignments are invalidated one by one, and nothing else goes with them") {
    CachedSchool school;
    school.page(2);
    std::vector<AssignmentId> ids;
    for (AssignmentId id = 1'000; id < 2'200; ++id) ids.push_back(id);
    const std::uint64_t before = school.stats.invalidate_assignment(1);
    CHECK(school.stats.invalidate_assignments(ids) > before);
    CHECK(school.page(2) == "hit 50.0");
    ids.push_back(2);
    school.stats.invalidate_assignments(ids);
    CHECK(school.page(2) == "miss 50.0");
}

TEST_CASE("a document past its soft ttl is served stale while another computes", "[tsan]") {
    StatsCacheOptions options;
    options.soft_ttl = 10s;
    CachedSchool school(options);
    school.page(1);
    school.clock->advance(11s);
    std::string seen_meanwhile;
    school.watch.after_load = [&] { std::thread([&] { seen_meanwhile = school.page(1); }).join(); };
    CHECK(school.page(1) == "miss 90.0");
    CHECK(seen_meanwhile == "stale 90.0");
    school.watch.after_load = {};
    CHECK(school.page(1) == "hit 90.0");
}

TEST_CASE("one of many callers computes, and the others wait for it", "[tsan]") {
    CachedSchool school;
    std::vector<std::string> seen(4);
    std::vector<std::thread> threads;
    school.watch.after_load = [&] {
        for (std::size_t i = 0; i < seen.size(); ++i)
            threads.emplace_back([&school, &seen, i] { seen[i] = school.page(1); });
    };
    CHECK(school.page(1) == "miss 90.0");
    for (std::thread& thread : threads) thread.join();
    CHECK(school.watch.loads == 1);
    for (const std::string& one : seen) CHECK((one == "wait 90.0" || one == "hit 90.0"));
}

TEST_CASE("warming fills what is missing, counts nothing, and an unknown id leaves nothing") {
    CachedSchool school;
    const WarmResult result = school.stats.warm({1, 99, 2});
    CHECK(result.total == 3);
    CHECK(result.warmed == 2);
    CHECK(result.failed == 1);
    CHECK_FALSE(result.async_scheduled);
    CHECK(school.cache.peek("assignment_stats:99").state() == State::none);
    CHECK(school.hits_and_misses(1) == "0/0");
    CHECK(school.watch.loads == 2);
    CHECK(school.book.take() == Lines{"ERROR Warming assignment 99 failed: no such assignment"});
    CHECK(school.page(1) == "hit 90.0");
    CHECK(school.hits_and_misses(1) == "1/0");

    CHECK(school.stats.warm({1, 2}).warmed == 2);
    CHECK(school.watch.loads == 2);
}

TEST_CASE("warmed documents are invalidated like others") {
    CachedSchool school;
    school.stats.warm({1, 2});
    school.cache.invalidate_tag("course:Law");
    CHECK(school.page(1) == "miss 90.0");
    school.sql("UPDATE submissions SET score = 60 WHERE submission_id = 20");
    school.relay();
    CHECK(school.page(2) == "miss 60.0");
}

TEST_CASE("a document warmed from what was read before a change is not kept") {
    CachedSchool school;
    school.watch.after_load = [&school] {
        school.sql("UPDATE submissions SET score = 55 WHERE submission_id = 10");
        school.relay();
    };
    CHECK(school.stats.warm({1}).failed == 1);
    school.watch.after_load = {};
    CHECK(school.page(1) == "miss 55.0");

    school.stats.invalidate_assignment(1);
    bool has_changed = false;
    school.watch.after_load = [&school, &has_changed] {
        if (std::exchange(has_changed, true)) return;
        school.sql("UPDATE submissions SET score = 44 WHERE submission_id = 10");
        school.relay();
    };
    CHECK(school.stats.warm({1}).warmed == 1);  // the second document is kept
    CHECK(school.page(1) == "hit 44.0");
}

TEST_CASE("five unmeasured assignments are warmed in the background, measured ones at once") {
    CachedSchool school;
    for (int id = 3; id <= 6; ++id) school.add_assignment(id);
    school.relay();
    school.book.take();
    const WarmResult result = school.stats.warm({1, 2, 3, 4, 5});
    CHECK(result.async_scheduled);
    REQUIRE(school.stats.warmer().wait_until_idle(10s));
    CHECK(school.book.take() == Lines{"INFO Async cache warming complete: 5 warmed, 0 failed"});
    CHECK(school.page(5) == "hit null");
    CHECK_FALSE(school.stats.warm({1, 2, 3, 4, 5, 6}).async_scheduled);
}

TEST_CASE("a teacher's ten most recent assignments are warmed") {
    CachedSchool school;
    for (int id = 101; id <= 112; ++id) school.add_assignment(id, "8");
    school.sql("UPDATE assignments SET created_at = '2024-01-01T00:00:00Z' WHERE assignment_id = 101");
    school.relay();
    school.page(1);
    const WarmResult result = school.stats.warm_teacher(8);
    CHECK(result.total == 10);
    CHECK(result.warmed == 10);
    CHECK(school.cache.contains("assignment_stats:101"));
    CHECK(school.cache.contains("assignment_stats:104"));
    CHECK_FALSE(school.cache.contains("assignment_stats:103"));
    CHECK(school.stats.warm_teacher(9).total == 0);
}

TEST_CASE("a forked child goes on with the cache that it inherited") {
    CachedSchool school;
    school.page(1);
    auto child = test::ChildProcess::start([&](test::Channel&) {
        if (school.page(1) != "hit 90.0") return 1;
        if (school.page(2) != "miss 50.0") return 2;
        return 0;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(school.page(2) == "hit 50.0");
    CHECK(school.hits_and_misses(1) == "1/1");
    CHECK(school.hits_and_misses(2) == "1/1");
}
