#include "core/smart_ttl.hpp"

#include <catch2/catch.hpp>

#include "tests/core/stats_cache_fixture.hpp"

using namespace larder;
using namespace std::chrono_literals;

namespace {

constexpr TtlRange range{60s, 24h};
const Timestamp now = std::chrono::sys_days(std::chrono::days(20'000));

std::vector<Timestamp> every(std::chrono::microseconds interval, int count, std::chrono::microseconds since_last) {
    std::vector<Timestamp> times;
    for (int i = 0; i < count; ++i) times.push_back(now - since_last - i * interval);
    return times;
}

}  // namespace

TEST_CASE("a document lives for a tenth of the mean time between its last changes") {
    CHECK(smart_ttl(every(100min, 50, 100min), now, range) == 10min);
    CHECK(smart_ttl(every(100min, 8, 100min), now, range) == 10min);
    auto shuffled = every(100min, 50, 100min);
    std::swap(shuffled.front(), shuffled.back());
    CHECK(smart_ttl(shuffled, now, range) == 10min);
}

TEST_CASE("the longer nothing has changed, the longer it lives") {
    CHECK(smart_ttl(every(1s, 50, 0s), now, range) == 60s);
    const auto after_an_hour = smart_ttl(every(1s, 50, 8h), now, range);
    CHECK(after_an_hour > 5min);
    CHECK(smart_ttl(every(1s, 50, 80h), now, range) > 9 * after_an_hour);
    CHECK(smart_ttl(every(1s, 50, std::chrono::hours(24 * 365)), now, range) == 24h);
}

TEST_CASE("without a change, and with changes that are yet to come, it lives as long as allowed") {
    CHECK(smart_ttl({}, now, range) == 24h);
    CHECK(smart_ttl({now + 1h}, now, range) == 24h);
    CHECK(smart_ttl({now + 1h, now - 10h}, now, range) == 1h);
}

TEST_CASE("the time to live of a document follows its submissions, where that is wanted") {
    const Timestamp present = std::chrono::sys_days(std::chrono::days(20'000));
    StatsCacheOptions options;
    options.wall_clock = [present] { return present; };
    options.smart_ttl = range;
    test::CachedSchool school(options);
    school.sql("UPDATE submissions SET submitted_at = '" + to_iso8601(present - 5h) + "' WHERE assignment_id = 1");
    school.relay();
    school.page(1);
    school.page(2);
    school.clock->advance(29min);
    CHECK(school.page(1) == "hit 90.0");
    school.clock->advance(2min);
    CHECK(school.page(1) == "miss 90.0");
    CHECK(school.page(2) == "hit 50.0");  // nobody knows of a change of it
}
