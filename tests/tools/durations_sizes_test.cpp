#include "tools/durations_sizes.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace larder::tools;
using namespace std::chrono_literals;

TEST_CASE("durations are read with their units, and seconds without one", "[tools][tsan]") {
    CHECK(parse_duration("300") == 300s);
    CHECK(parse_duration("300s") == 300s);
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("5m") == 300s);
    CHECK(parse_duration("1h") == 3'600s);
    CHECK(parse_duration("7d") == 604'800s);
    CHECK(parse_duration("0") == 0s);
}

TEST_CASE("what is no duration is refused with what is accepted", "[tools][tsan]") {
    for (const char* text :
         {"", "s", "5 m", "5min", "-1", "+1", "1.5s", "5M", "0x10", "99999999999999999999", "40000d"}) {
        INFO(text);
        CHECK_THROWS_AS(parse_duration(text), std::invalid_argument);
    }
    CHECK_THROWS_WITH(parse_duration("5min"), Catch::Contains("5min") && Catch::Contains("300s"));
}

TEST_CASE("sizes are read with binary units, and bytes without one", "[tools][tsan]") {
    CHECK(parse_size("4096") == 4'096);
    CHECK(parse_size("64KiB") == 65'536);
    CHECK(parse_size("256MiB") == 268'435'456);
    CHECK(parse_size("1GiB") == 1'073'741'824);
    CHECK(parse_size("10B") == 10);
}

TEST_CASE("what is no size is refused with what is accepted", "[tools][tsan]") {
    for (const char* text : {"", "MiB", "1MB", "1M", "1.5GiB", "-1", "1 KiB", "9000000TiB", "9223372036854775808"}) {
        INFO(text);
        CHECK_THROWS_AS(parse_size(text), std::invalid_argument);
    }
    CHECK_THROWS_WITH(parse_size("1MB"), Catch::Contains("256MiB"));
}

TEST_CASE("durations and sizes are printed in two units at most", "[tools][tsan]") {
    CHECK(duration_text(0ms) == "0ms");
    CHECK(duration_text(999ms) == "999ms");
    CHECK(duration_text(4'250ms) == "4.2s");
    CHECK(duration_text(190s) == "3m10s");
    CHECK(duration_text(7'500s) == "2h05m");
    CHECK(duration_text(615'600s) == "7d03h");
    CHECK(duration_text(-1'500ms) == "-1.5s");
    CHECK(size_text(4'096) == "4096B");
    CHECK(size_text(65'536) == "64.0KiB");
    CHECK(size_text(1'610'612'736) == "1.5GiB");
}
