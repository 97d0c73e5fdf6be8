#include "shm/histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace larder::shm;

TEST_CASE("A value is counted in the bucket of its significant bits", "[histogram]") {
    const auto histogram = std::make_unique<Histogram>();
    for (const std::uint64_t value : {0ULL, 1ULL, 2ULL, 3ULL, 4ULL, 1023ULL, 1024ULL}) add(*histogram, value);
    const HistogramSnapshot seen = snapshot(*histogram);
    CHECK(seen.buckets[0] == 1);
    CHECK(seen.buckets[1] == 1);
    CHECK(seen.buckets[2] == 2);
    CHECK(seen.buckets[3] == 1);
    CHECK(seen.buckets[10] == 1);
    CHECK(seen.buckets[11] == 1);
    CHECK(seen.count == 7);
    CHECK(seen.sum == 2057);
    CHECK(seen.mean() == Approx(2057.0 / 7));
}

TEST_CASE("The last bucket takes every longer value", "[histogram]") {
    const auto histogram = std::make_unique<Histogram>();
    add(*histogram, ~0ULL);
    add(*histogram, 1ULL << 60);
    CHECK(snapshot(*histogram).buckets[kBuckets - 1] == 2);
}

TEST_CASE("An empty histogram has mean and percentiles of 0", "[histogram]") {
    const HistogramSnapshot seen = snapshot(*std::make_unique<Histogram>());
    CHECK(seen.count == 0);
    CHECK(seen.mean() == 0);
    CHECK(seen.percentile(0.5) == 0);
    CHECK(seen.percentile(1) == 0);
    const auto zeros = std::make_unique<Histogram>();
    add(*zeros, 0);
    CHECK(snapshot(*zeros).percentile(0.5) == 0);
}

TEST_CASE("A percentile is off by less than a factor of two", "[histogram]") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> distribution(10, 2);
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values(10'000);
    for (std::uint64_t& value : values) {
        value = 1 + static_cast<std::uint64_t>(distribution(random));
        add(*histogram, value);
    }
    std::sort(values.begin(), values.end());
    const HistogramSnapshot seen = snapshot(*histogram);
    double last = 0;
    for (const double share : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
        CAPTURE(share);
        const auto exact = static_cast<double>(values[static_cast<std::size_t>(std::lround(share * 10'000)) - 1]);
        const double estimate = seen.percentile(share);
        CHECK(estimate >= exact / 2);
        CHECK(estimate <= exact * 2);
        CHECK(estimate >= last);
        last = estimate;
    }
    CHECK(seen.percentile(1) >= static_cast<double>(values.back()));
}

TEST_CASE("Values added by many threads are all counted", "[histogram][tsan]") {
    constexpr std::uint64_t kEach = 10'000;
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 4; ++i)
        threads.emplace_back([&histogram, i] {
            for (std::uint64_t n = 0; n < kEach; ++n) add(*histogram, 1ULL << i);
        });
    for (std::thread& thread : threads) thread.join();
    const HistogramSnapshot seen = snapshot(*histogram);
    CHECK(seen.count == 4 * kEach);
    CHECK(seen.sum == 15 * kEach);
    CHECK(histogram->count.load() == 4 * kEach);
    for (std::uint32_t bucket = 1; bucket <= 4; ++bucket) CHECK(seen.buckets[bucket] == kEach);
}
