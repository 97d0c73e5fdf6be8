// Limits, counts over a key's lives, failing allocations, and the segment behind the name.
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "shm/cache.hpp"
#include "shm/location.hpp"
#include "shm/replacement.hpp"
#include "shm/testing.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
namespace testing = larder::shm::testing;

namespace {

std::string key_of(int i) { return "key:" + std::to_string(i); }

int lines_with(const std::string& file, const std::string& text) {
    std::ifstream in(file);
    int count = 0;
    for (std::string line; std::getline(in, line);) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("max_bytes bounds the bytes of keys and values", "[cache]") {
    Options limits;
    limits.max_bytes = 10'000;
    ScopedCache scoped(limits);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(scoped.cache.put(key_of(i), std::string(994, 'v')) == PutResult::stored);
        REQUIRE(shm::read_gauges(scoped.view()).payload_bytes <= 10'000);
    }
    CHECK(scoped.entries() == 10);
    CHECK(scoped.cache.put(key_of(99), std::string(4'000, 'v')) == PutResult::stored);
    CHECK(shm::read_gauges(scoped.view()).payload_bytes <= 10'000);
    CHECK(scoped.cache.put(key_of(99), std::string(10'000, 'v')) == PutResult::too_large);
    CHECK_FALSE(scoped.cache.contains(key_of(99)));
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("Limits add up over the shards", "[cache]") {
    Options limits;
    limits.shards = 4;
    limits.max_entries = 103;
    ScopedCache scoped(limits);
    for (int i = 0; i < 2'000; ++i) REQUIRE(scoped.cache.put(key_of(i), "value") == PutResult::stored);
    CHECK(scoped.entries() == 103);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A full arena makes room for whatever a put needs", "[cache]") {
    ScopedCache scoped;
    const std::uint64_t largest = scoped.view().geometry->arena_bytes / 4;
    for (int i = 0; i < 1'000; ++i) {
        const std::uint64_t bytes = i % 50 == 49 ? largest : 100 + 37 * static_cast<std::uint64_t>(i % 500);
        REQUIRE(scoped.cache.put(key_of(i), std::string(bytes, 'v')) == PutResult::stored);
        REQUIRE(scoped.cache.get(key_of(i)).value().size() == bytes);
    }
    CHECK(scoped.count(Counter::evictions) > 100);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A put evicts as many as it takes, also more than one holding of the lock may", "[cache]") {
    Options options;
    options.expected_entries = 60'000;
    ScopedCache scoped(options);
    for (int i = 0; i < 100'000 && scoped.count(Counter::evictions) == 0; i += 100)
        for (int n = i; n < i + 100; ++n)
            REQUIRE(scoped.cache.put(key_of(n), std::string(700, 'v')) == PutResult::stored);
    const std::uint64_t evicted = scoped.count(Counter::evictions);
    const std::uint64_t largest = shm::max_value_bytes(*scoped.view().geometry);
    REQUIRE(scoped.cache.put("large", std::string(largest, 'v')) == PutResult::stored);
    CHECK(scoped.count(Counter::evictions) - evicted > 1'024);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("More entries than expected are evicted, not refused", "[cache]") {
    ScopedCache scoped;
    for (int i = 0; i < 3'000; ++i) REQUIRE(scoped.cache.put(key_of(i), "value") == PutResult::stored);
    CHECK(scoped.entries() == scoped.view().geometry->directory_slots / 2);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A key's use is kept over eviction, expiry and invalidation, for 24 hours", "[cache]") {
    Options limits;
    limits.max_entries = 1;
    ScopedCache scoped(limits);
    const auto put = [&] { REQUIRE(scoped.cache.put("key", "value") == PutResult::stored); };
    CHECK_FALSE(scoped.cache.get("key"));  // a plain get gives a key no entry
    CHECK_FALSE(scoped.cache.key_use("key").tracked);
    put();
    scoped.cache.get("key");
    scoped.cache.put("other", "value");
    scoped.cache.get("key");
    put();
    scoped.clock->advance(300s);
    scoped.cache.get("key");
    put();
    scoped.cache.invalidate("key");
    scoped.cache.get("key");
    put();
    scoped.cache.get("key");
    CHECK(scoped.count(Counter::misses_cold) == 1);
    CHECK(scoped.count(Counter::misses_evicted) == 1);
    CHECK(scoped.count(Counter::misses_expired) == 1);
    CHECK(scoped.count(Counter::misses_invalidated) == 1);
    KeyUse use = scoped.cache.key_use("key");
    CHECK(use.tracked);
    CHECK(use.hits == 2);
    CHECK(use.misses == 3);
    scoped.clock->advance(23h);
    use = scoped.cache.key_use("key");
    CHECK(use.hits + use.misses == 5);
    scoped.clock->advance(1h);
    use = scoped.cache.key_use("key");
    CHECK(use.hits + use.misses == 0);
    CHECK(scoped.totals().lookups() == 6);
}

TEST_CASE("Lookups of keys past the key table are counted as cold and untracked", "[cache]") {
    Options few;
    few.tracked_keys = 16;
    few.max_entries = 40;
    ScopedCache scoped(few);
    for (int i = 0; i < 40; ++i) REQUIRE(scoped.cache.put(key_of(i), "value") == PutResult::stored);
    for (int i = 0; i < 40; ++i) CHECK(scoped.cache.get(key_of(i)).value() == "value");
    CHECK(scoped.count(Counter::untracked_lookups) == 24);
    for (int i = 0; i < 40; ++i) scoped.cache.erase(key_of(i));
    for (int i = 0; i < 40; ++i) scoped.cache.get(key_of(i));
    CHECK(scoped.count(Counter::untracked_lookups) == 48);
    CHECK(scoped.count(Counter::misses_cold) == 24);
    CHECK(scoped.count(Counter::misses_invalidated) == 16);
    CHECK(scoped.totals().lookups() == 80);
}

TEST_CASE("Wherever an allocation fails, a put is stored or says no_space, and nothing is damaged", "[cache]") {
    const bool sticky = GENERATE(false, true);
    for (std::uint64_t n = 1; n <= 12; ++n) {
        INFO("allocation " << n << " fails" << (sticky ? " and all later ones" : ""));
        Options options;
        ScopedCache scoped(options);
        for (int i = 0; i < 5; ++i)
            REQUIRE(scoped.cache.put(key_of(i), proving_value(key_of(i), 1)) == PutResult::stored);
        testing::fail_allocation(n, sticky);
        for (int i = 0; i < 10; ++i) {
            const PutResult result = scoped.cache.put(key_of(i), proving_value(key_of(i), 2));
            CHECK((result == PutResult::stored || result == PutResult::no_space));
            const Pinned got = scoped.cache.peek(key_of(i));
            if (result == PutResult::stored)
                CHECK(proven_version(key_of(i), got.value()) == 2);
            else
                CHECK_FALSE(got);
        }
        testing::fail_allocation(0);
        CHECK(first_violation(scoped.view()) == "");
        for (int i = 0; i < 10; ++i)
            CHECK(scoped.cache.put(key_of(i), proving_value(key_of(i), 3)) == PutResult::stored);
        CHECK(first_violation(scoped.view()) == "");
    }
}

TEST_CASE("However often a process opens a cache, it is mapped once", "[cache]") {
    ScopedCache scoped;
    const int before = lines_with("/proc/self/maps", scoped.cache.segment_path());
    Cache second = Cache::open(scoped.options), third = Cache::open(scoped.options);
    CHECK(lines_with("/proc/self/maps", scoped.cache.segment_path()) == before);
    scoped.cache.put("key", "value");
    CHECK(second.get("key").value() == "value");
    CHECK(third.get("key").value() == "value");
    CHECK(shm::read_processes(scoped.view()).size() == 1);
}

TEST_CASE("A cache in memory is its maker's alone and has no paths", "[cache]") {
    Options options;
    options.in_memory = true;
    options.size_bytes = 16ULL << 20;
    Cache one = Cache::open(options), two = Cache::open(options);
    CHECK(one.put("key", "value") == PutResult::stored);
    CHECK(one.get("key").value() == "value");
    CHECK_FALSE(two.get("key"));
    CHECK(one.segment_path().empty());
    CHECK(one.socket_path().empty());
}

TEST_CASE("A removed cache serves nothing more, and is made anew by who goes on using it", "[cache]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    const Stamp before = scoped.cache.stamp();
    const Pinned held = scoped.cache.get("key");
    REQUIRE(shm::remove_cache(shm::locate(scoped.directory.path(), scoped.options.name, false)));
    CHECK_FALSE(scoped.cache.get("key"));
    CHECK(held.value() == "value");
    scoped.clock->advance(51ms);
    const auto stores = [&] {
        scoped.clock->advance(1h);  // past the moment up to which the new segment is closed
        return scoped.cache.put("key", "new") == PutResult::stored;
    };
    CHECK(eventually(stores));
    CHECK(scoped.cache.get("key").value() == "new");
    CHECK(held.value() == "value");
    EntryOptions late;
    late.as_of = before;
    CHECK(scoped.cache.put("key", "late", late) == PutResult::fenced);
    const shm::Segment segment = shm::Segment::attach_read_only(scoped.cache.segment_path());
    CHECK(first_violation(segment.view()) == "");
    CHECK(segment.view().header().incarnation != before.incarnation);
}

TEST_CASE("A segment whose file was replaced is noticed", "[cache]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    REQUIRE(::unlink(scoped.cache.segment_path().c_str()) == 0);
    Cache anew = Cache::open(scoped.options);
    scoped.clock->advance(51ms);
    CHECK(eventually([&] { return !scoped.cache.get("key"); }));
    CHECK(eventually([&] {
        scoped.clock->advance(1h);
        return anew.put("key", "new") == PutResult::stored;
    }));
    CHECK(eventually([&] { return scoped.cache.get("key").value() == "new"; }));
}
