// Keys chosen so that they all have one home in a directory whose seed somebody knows.
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/hash.hpp"
#include "shm/inspector.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr std::uint64_t kKnownSeed = 1;

std::uint32_t home_of(std::string_view key, std::uint64_t seed, std::uint32_t slots) {
    return static_cast<std::uint32_t>(shm::hash_of(key, seed)) & (slots - 1);
}

/// So many keys of one home.
std::vector<std::string> keys_of_home(std::uint32_t slots, std::uint32_t home, std::size_t count) {
    std::vector<std::string> keys;
    for (std::uint64_t n = 0; keys.size() < count; ++n) {
        std::string key = "flood:" + std::to_string(n);
        if (home_of(key, kKnownSeed, slots) == home) keys.push_back(std::move(key));
    }
    return keys;
}

}  // namespace

TEST_CASE("Keys of one home make no probe longer than the limit, and hurt no other key", "[environment][hash]") {
    Options options;
    options.random_seed = kKnownSeed;
    options.expected_entries = 2'000;
    ScopedCache scoped(options, 4 << 20);
    const std::uint32_t slots = scoped.view().geometry->directory_slots;
    REQUIRE(slots > 2 * shm::kMaxProbe);
    std::vector<std::string> others;  // half the table away
    for (std::uint64_t n = 0; others.size() < 50; ++n) {
        std::string key = "other:" + std::to_string(n);
        if (home_of(key, kKnownSeed, slots) < slots / 4) others.push_back(std::move(key));
    }
    for (const std::string& key : others) REQUIRE(is_stored(scoped.cache, key, proving_value(key, 1)));
    const std::vector<std::string> flood = keys_of_home(slots, slots / 2, 3 * shm::kMaxProbe);
    std::uint32_t refused = 0, kept = 0;
    for (const std::string& key : flood) {
        const PutResult put = scoped.cache.put(key, proving_value(key, 1));
        REQUIRE((put == PutResult::stored || put == PutResult::no_space));
        refused += put == PutResult::no_space ? 1 : 0;
    }
    for (const std::string& key : flood) {
        const Pinned got = scoped.cache.get(key);
        if (got) REQUIRE(proven_version(key, got.value()) == 1);
        kept += got ? 1 : 0;
    }
    CHECK(kept <= shm::kMaxProbe);
    CHECK(kept >= shm::kMaxProbe / 2);
    CHECK(kept + refused + scoped.count(shm::Counter::evictions) >= flood.size());
    for (const std::string& key : others) CHECK(proven_version(key, scoped.cache.get(key).value()) == 1);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("Keys chosen for one seed are spread by another, and each segment has its own", "[environment][hash]") {
    constexpr std::uint32_t kSlots = 1'024;
    const std::vector<std::string> flood = keys_of_home(kSlots, 7, 200);
    std::set<std::uint64_t> seeds;
    for (int n = 0; n < 4; ++n) {
        const ScopedDirectory directory;
        Options options;
        options.name = "test";
        options.directory = directory.path();
        options.size_bytes = 10 << 20;
        options.shards = 1;
        options.tracked_keys = 64;
        const Cache cache = Cache::open(options);
        const std::uint64_t seed = shm::Segment::attach_read_only(cache.segment_path()).view().header().hash_seed;
        seeds.insert(seed);
        std::set<std::uint32_t> homes;
        for (const std::string& key : flood) homes.insert(home_of(key, seed, kSlots));
        CHECK(homes.size() > 100);  // of 182 to be expected
    }
    CHECK(seeds.size() == 4);
}
