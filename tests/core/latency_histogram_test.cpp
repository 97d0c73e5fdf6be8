#include "core/latency_histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <vector>

namespace larder {
namespace {

TEST_CASE("A quantile of a latency histogram is the exact one, or at most a sixteenth more") {
    std::mt19937_64 random(20);
    LatencyHistogram histogram;
    std::vector<std::uint64_t> times;
    for (int i = 0; i < 20'000; ++i) {
        times.push_back(random() >> (24 + random() % 40));  // from nanoseconds to minutes, as many in each power of two
        histogram.add(times.back());
    }
    std::sort(times.begin(), times.end());
    for (const double share : {0.001, 0.1, 0.5, 0.9, 0.999, 1.0}) {
        const auto rank = static_cast<std::size_t>(share * static_cast<double>(times.size()));
        const std::uint64_t exact = times[rank - 1];
        CHECK(histogram.quantile(share) >= exact);
        CHECK(histogram.quantile(share) <= exact + exact / 16);
    }
    CHECK(histogram.count() == times.size());
}

TEST_CASE("A latency histogram knows what was added since a copy") {
    LatencyHistogram histogram;
    for (int i = 0; i < 100; ++i) histogram.add(1'000'000);
    const LatencyHistogram earlier = histogram;
    histogram.add(7);
    const LatencyHistogram since = histogram.since(earlier);
    CHECK(since.count() == 1);
    CHECK(since.quantile(0.999) == 7);
}

TEST_CASE("A latency histogram takes every time there is, and none") {
    LatencyHistogram histogram;
    CHECK(histogram.quantile(0.5) == 0);
    histogram.add(0);
    CHECK(histogram.quantile(1) == 0);
    histogram.add(UINT64_MAX);
    CHECK(histogram.count() == 2);
    CHECK(histogram.quantile(1) >= std::uint64_t{3'600'000'000'000});  // an hour, at least
}

}  // namespace
}  // namespace larder
