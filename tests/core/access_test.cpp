#include "core/access.hpp"

#include <catch2/catch.hpp>

#include "tests/core/stats_cache_fixture.hpp"

using namespace larder;
using namespace std::chrono_literals;
using larder::test::CachedSchool;

TEST_CASE("roles have their names") {
    CHECK(role_from("student") == Role::student);
    CHECK(role_from("tutor") == Role::tutor);
    CHECK(role_from("teacher") == Role::teacher);
    CHECK(role_from("admin") == Role::admin);
    CHECK_FALSE(role_from("Teacher"));
    CHECK_FALSE(role_from(""));
}

TEST_CASE("a teacher or tutor sees his own assignments, an admin all, a student none") {
    CachedSchool school;
    school.add_assignment(3, "NULL");
    school.relay();
    AccessRule& access = school.stats.access();
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    CHECK(access.check({7, Role::tutor}, 1) == Access::ok);
    CHECK(access.check({7, Role::student}, 1) == Access::forbidden);
    CHECK(access.check({8, Role::teacher}, 1) == Access::forbidden);
    CHECK(access.check({8, Role::admin}, 1) == Access::ok);
    CHECK(access.check({0, Role::teacher}, 3) == Access::forbidden);
    CHECK(access.check({7, Role::admin}, 3) == Access::ok);
}

TEST_CASE("an unknown assignment is not found, by whoever may ask") {
    CachedSchool school;
    AccessRule& access = school.stats.access();
    CHECK(access.check({7, Role::teacher}, 99) == Access::not_found);
    CHECK(access.check({7, Role::admin}, 99) == Access::not_found);
    CHECK(access.check({7, Role::student}, 99) == Access::forbidden);
    CHECK(access.check({7, Role::admin}, 0) == Access::not_found);
    CHECK(access.check({7, Role::admin}, -5) == Access::not_found);
}

TEST_CASE("the source is asked once an assignment and lifetime, and nothing is counted") {
    CachedSchool school;
    AccessRule& access = school.stats.access();
    for (int i = 0; i < 5; ++i) {
        access.check({7, Role::teacher}, 1);
        access.check({8, Role::teacher}, 1);
        access.check({7, Role::teacher}, 99);
    }
    CHECK(school.watch.owner_lookups == 2);
    const KeyUse use = school.cache.key_use("assignment_access:1");
    CHECK(use.hits + use.misses == 0);
    school.clock->advance(301s);
    access.check({7, Role::teacher}, 1);
    CHECK(school.watch.owner_lookups == 3);
}

TEST_CASE("a new author is known once the change is told") {
    CachedSchool school;
    AccessRule& access = school.stats.access();
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    school.sql("UPDATE assignments SET author_id = 8 WHERE assignment_id = 1");
    school.relay();
    CHECK(access.check({7, Role::teacher}, 1) == Access::forbidden);
    CHECK(access.check({8, Role::teacher}, 1) == Access::ok);
    school.page(1);
    school.cache.invalidate_tag("author:8");
    CHECK(school.page(1) == "miss 90.0");
}

TEST_CASE("an author read before a change and kept after its notice is not believed") {
    CachedSchool school;
    AccessRule& access = school.stats.access();
    school.watch.after_owner_lookup = [&school] {
        school.sql("UPDATE assignments SET author_id = 8 WHERE assignment_id = 1");
        school.relay();
    };
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    school.watch.after_owner_lookup = {};
    CHECK(access.check({7, Role::teacher}, 1) == Access::forbidden);
    CHECK(access.check({8, Role::teacher}, 1) == Access::ok);
}

TEST_CASE("an access entry takes no place in the key table, and is used like its document") {
    CachedSchool school;
    for (const AssignmentId id : {1, 99}) static_cast<void>(school.stats.access().check({7, Role::teacher}, id));
    CHECK_FALSE(school.cache.key_use("assignment_access:1").tracked);
    CHECK_FALSE(school.cache.key_use("assignment_access:99").tracked);
    CHECK_FALSE(school.cache.mean_compute_time());
}

TEST_CASE("an access entry that nobody can read is read anew from the source") {
    CachedSchool school;
    for (const char* garbage : {"x", "author=", "author=seven", "author=7x"}) {
        school.cache.put("assignment_access:1", garbage);
        const bool as_written = std::string_view(garbage) == "author=";
        CHECK(school.stats.access().check({7, Role::teacher}, 1) == (as_written ? Access::forbidden : Access::ok));
    }
}

TEST_CASE("an access entry goes with all else of its author") {
    CachedSchool school;
    AccessRule& access = school.stats.access();
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    school.cache.invalidate_tag("author:8");
    CHECK(access.check_cached({7, Role::teacher}, 1) == Access::ok);
    school.cache.invalidate_tag("author:7");
    CHECK_FALSE(access.check_cached({7, Role::teacher}, 1));
}

TEST_CASE("where a stale answer is wanted, who may see an assignment is known while the source is gone") {
    StatsCacheOptions options;
    options.stale_if_error = 60s;
    CachedSchool school(options);
    AccessRule& access = school.stats.access();
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    school.watch.broken = true;
    school.clock->advance(301s);
    CHECK(access.check({7, Role::teacher}, 1) == Access::ok);
    CHECK(access.check({8, Role::teacher}, 1) == Access::forbidden);
    school.clock->advance(60s);
    CHECK_THROWS_AS(access.check({7, Role::teacher}, 1), SourceError);
}

TEST_CASE("an error of the source reaches the caller") {
    CachedSchool school;
    school.watch.broken = true;
    CHECK_THROWS_AS(school.stats.access().check({7, Role::teacher}, 1), SourceError);
}

TEST_CASE("who may see a document is under the promise about its database, as the document is") {
    CachedSchool school;
    Options promising = school.cache_options();
    promising.degraded_after = 2s;
    const Cache followed = Cache::open(promising);
    REQUIRE(followed.sync_state());
    school.page(1);
    const int before = school.watch.owner_lookups;
    school.clock->advance(1s);
    school.page(1);
    CHECK(school.watch.owner_lookups == before);
    school.clock->advance(2s);
    CHECK(school.page(1).starts_with("miss"));
    CHECK(school.watch.owner_lookups == before + 1);
}
