#include "shm/geometry.hpp"

#include <bit>
#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <string>

#include "shm/cache.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using namespace larder::shm;
using test::refused_at;

namespace {

Options sized(std::uint64_t size_bytes) {
    Options options;
    options.size_bytes = size_bytes;
    return options;
}

}  // namespace

TEST_CASE("nine tenths less the keys' share of a large cache is for records") {
    const Geometry geometry = plan_geometry(sized(1ULL << 30));
    const std::uint64_t records = geometry.shards * (geometry.arena_bytes - geometry.node_bytes);
    CHECK(records >= (1ULL << 30) * 85 / 100);
    CHECK(geometry.shards == 64);
    CHECK(geometry.arenas == 65);
    CHECK(geometry.tracked_keys == (1ULL << 30) / 16 / 256);
}

TEST_CASE("below eight shards there is no spare arena") {
    Options options = sized(256ULL << 20);
    for (const std::uint32_t shards : {1u, 2u, 4u, 8u, 16u}) {
        options.shards = shards;
        CHECK(plan_geometry(options).arenas == shards + (shards >= 8 ? 1 : 0));
    }
}

TEST_CASE("a directory is at most half full of the entries that are expected") {
    Options options = sized(1ULL << 30);
    for (const std::uint64_t entries : {1ULL, 1000ULL, 5000ULL, 60'000ULL, 400'000ULL}) {
        options.expected_entries = entries;
        const Geometry geometry = plan_geometry(options);
        CHECK(2 * entries <= static_cast<std::uint64_t>(geometry.shards) * geometry.directory_slots);
        CHECK(geometry.directory_slots <= kMaxDirectorySlots);
        CHECK(geometry.shards == std::max<std::uint64_t>(1, std::bit_floor(entries / 2048)));
    }
}

TEST_CASE("a cache of few entries can be small") {
    Options options = sized(0);
    options.shards = 1;
    options.max_entries = 500;
    options.tracked_keys = 16;
    CHECK(required_bytes(options) < 9ULL << 20);
}

TEST_CASE("a size that is too small is refused with one that is not") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        Options options = sized(random() % (64ULL << 20));
        options.shards = 1u << random() % 6;
        options.expected_entries = random() % 60'000;
        options.tracked_keys = random() % 2 * (random() % 50'000);
        const std::uint64_t needed = required_bytes(options);
        if (options.size_bytes < needed) {
            CHECK_THROWS_WITH(plan_geometry(options), Catch::Contains(std::to_string(needed)));
            options.size_bytes = needed;
        }
        const Geometry geometry = plan_geometry(options);
        CHECK(is_valid_geometry(geometry, geometry.segment_bytes));
        CHECK(geometry.arena_bytes >= kMinShardBytes);
    }
}

TEST_CASE("a cache too small for as many shards as its entries would like has fewer") {
    Options options = sized(64ULL << 20);
    options.expected_entries = 60'000;
    const Geometry geometry = plan_geometry(options);
    CHECK(geometry.shards < 16);
    CHECK(2 * options.expected_entries <= static_cast<std::uint64_t>(geometry.shards) * geometry.directory_slots);
    options.size_bytes = 4ULL << 20;
    CHECK(refused_at([&] { plan_geometry(options); }) == "options");
}

TEST_CASE("numbers out of bounds are refused") {
    Options options = sized(256ULL << 20);
    CHECK(refused_at([&] { plan_geometry(options); }).empty());
    const auto refused = [&](auto change) {
        Options changed = options;
        change(changed);
        return refused_at([&] { plan_geometry(changed); }) == "options";
    };
    CHECK(refused([](Options& o) { o.size_bytes = 0; }));
    CHECK(refused([](Options& o) { o.size_bytes = std::numeric_limits<std::uint64_t>::max(); }));
    CHECK(refused([](Options& o) { o.shards = 3; }));
    CHECK(refused([](Options& o) { o.shards = 1u << 31; }));
    CHECK(refused([](Options& o) { o.tracked_keys = std::numeric_limits<std::uint64_t>::max(); }));
    CHECK(refused([](Options& o) { o.expected_entries = std::numeric_limits<std::uint64_t>::max(); }));
    CHECK(refused([](Options& o) { o.shards = 1, o.max_entries = 100'000; }));
    CHECK(refused([](Options& o) { o.shards = 4, o.max_entries = 3; }));
    CHECK(refused([](Options& o) { o.shards = 4, o.max_bytes = 3; }));
}

TEST_CASE("a geometry with any field changed is not valid") {
    const Geometry good = plan_geometry(sized(256ULL << 20));
    REQUIRE(is_valid_geometry(good, good.segment_bytes));
    CHECK_FALSE(is_valid_geometry(good, good.segment_bytes + kPageBytes));
    CHECK_FALSE(is_valid_geometry(good, good.segment_bytes - kPageBytes));
    Geometry odd = good;
    odd.segment_bytes += 8;
    CHECK_FALSE(is_valid_geometry(odd, odd.segment_bytes));
    Geometry huge = good;
    huge.segment_bytes = kMaxSegmentBytes + kPageBytes;
    CHECK_FALSE(is_valid_geometry(huge, huge.segment_bytes));
    Geometry order = good;
    order.strict_recency = 2;
    CHECK_FALSE(is_valid_geometry(order, order.segment_bytes));
    constexpr std::size_t kWords = offsetof(Geometry, max_entries) / 8;  // the limits may be anything
    for (std::size_t word = 0; word < kWords; ++word) {
        for (const std::uint64_t change : {1ULL, 64ULL, 1ULL << 40, 1ULL << 63}) {
            Geometry bad = good;
            reinterpret_cast<std::uint64_t*>(&bad)[word] ^= change;
            INFO("word " << word << " change " << change);
            CHECK_FALSE(is_valid_geometry(bad, good.segment_bytes));
        }
    }
    for (std::uint32_t Geometry::*field : {&Geometry::shards, &Geometry::arenas, &Geometry::directory_slots}) {
        for (const std::uint32_t value :
             {0u, 3u, 8u, 2 * kMaxShards, 2 * kMaxDirectorySlots, 0xFFFFFFFFu, good.*field * 2, good.*field / 2}) {
            Geometry bad = good;
            bad.*field = value;
            CHECK_FALSE(is_valid_geometry(bad, good.segment_bytes));
        }
    }
}
