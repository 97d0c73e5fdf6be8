#include "tools/http/log_limiter.hpp"

#include <catch2/catch.hpp>

using larder::tools::LogLimiter;
using namespace std::chrono_literals;

TEST_CASE("so many lines within a window, and the next one says how many were left out") {
    LogLimiter limiter(2, 10s);
    const auto start = LogLimiter::Clock::now();
    std::size_t left_out = 0;
    CHECK(limiter.admit(start, left_out));
    CHECK(limiter.admit(start + 1s, left_out));
    CHECK(left_out == 0);
    for (int i = 0; i < 5; ++i) CHECK_FALSE(limiter.admit(start + 2s, left_out));
    CHECK(limiter.admit(start + 10s, left_out));
    CHECK(left_out == 5);
    CHECK(limiter.admit(start + 11s, left_out));
    CHECK(left_out == 0);

    CHECK_FALSE(limiter.admit(start + 12s, left_out));
    CHECK(limiter.take_left_out(start + 13s) == 0);
    CHECK(limiter.take_left_out(start + 20s) == 1);
    CHECK(limiter.take_left_out(start + 20s) == 0);
    CHECK(limiter.admit(start + 21s, left_out));
    CHECK(left_out == 0);
}
