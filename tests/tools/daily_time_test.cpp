#include "tools/daily_time.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

using larder::tools::DailyTime;

namespace {

/// The time zone of the process, for as long as it lives.
class TimeZone {
public:
    explicit TimeZone(const char* name) {
        if (const char* const before = std::getenv("TZ")) before_ = before;
        ::setenv("TZ", name, 1);
        ::tzset();
    }
    ~TimeZone() {
        before_ ? ::setenv("TZ", before_->c_str(), 1) : ::unsetenv("TZ");
        ::tzset();
    }
    TimeZone(const TimeZone&) = delete;
    TimeZone& operator=(const TimeZone&) = delete;

private:
    std::optional<std::string> before_;
};

constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";  // by rule: no zone files are needed
constexpr std::time_t hour = 3'600;
constexpr std::time_t new_year_2024 = 1'704'067'200;  // 2024-01-01T00:00:00Z

}  // namespace

TEST_CASE("a time of the day is two numbers and a colon") {
    for (const char* wrong : {"", "0:00", "24:00", "12:60", "1200", "12:00:00", "ab:cd", "-1:00", "12-00"})
        CHECK_THROWS_AS(DailyTime::parse(wrong), std::invalid_argument);
    CHECK_NOTHROW(DailyTime::parse("23:59"));
}

TEST_CASE("the next midnight is that of the local time zone") {
    const TimeZone zone(berlin);
    const DailyTime midnight = DailyTime::parse("00:00");
    const std::time_t local_midnight = new_year_2024 - hour;
    CHECK(midnight.next_after(local_midnight - 1) == local_midnight);
    CHECK(midnight.next_after(local_midnight) == local_midnight + 24 * hour);
    CHECK(DailyTime::parse("06:30").next_after(local_midnight) == local_midnight + 6 * hour + hour / 2);
}

TEST_CASE("a day of 23 or of 25 hours has its time once") {
    const TimeZone zone(berlin);
    const DailyTime noon = DailyTime::parse("12:00");
    const std::time_t before_spring = 1'711'796'400;  // 2024-03-30T12:00 CET
    CHECK(noon.next_after(before_spring) == before_spring + 23 * hour);
    const std::time_t before_autumn = 1'729'936'800;  // 2024-10-26T12:00 CEST
    CHECK(noon.next_after(before_autumn) == before_autumn + 25 * hour);
    // 02:30 does not exist on 31 March; it comes within an hour of where it would be, and the next day as ever.
    const DailyTime skipped = DailyTime::parse("02:30");
    const std::time_t then = skipped.next_after(before_spring);
    CHECK(then >= before_spring + 13 * hour + hour / 2);
    CHECK(then <= before_spring + 14 * hour + hour / 2);
    CHECK(skipped.next_after(then) > then);
}
