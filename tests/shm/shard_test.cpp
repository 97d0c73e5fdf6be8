// One shard's writer, step by step.
#include "shm/shard.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shm/lookup.hpp"
#include "shm/mapping.hpp"
#include "shm/testing.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder::shm;
using namespace std::chrono_literals;
using larder::PutResult;
using larder::test::first_violation;
using larder::test::proven_version;
using larder::test::proving_value;
using larder::test::ScopedCache;

namespace {

larder::Options strict(std::uint64_t max_entries) {
    larder::Options options;
    options.recency = larder::Options::Recency::strict;
    options.max_entries = max_entries;
    return options;
}

struct Fixture {
    explicit Fixture(larder::Options options = {}) : scoped(options) {}

    ScopedCache scoped;
    Mapping* mapping = Mapping::open(scoped.options, nullptr);
    SegmentView view = mapping->view();
    Shard& shard = view.shard(0);
    Lookup lookup{view};

    ShardWriter writer() { return {view, mapping->registry(), 0, mapping->thread_block(), scoped.clock->now_ns()}; }
    NewRecord wanted(const std::string& key, std::string_view value) {
        NewRecord record;
        record.key = {scoped.hash(key), key};
        record.value = value;
        record.as_of = Fences(view).now();
        record.expires_ns = scoped.clock->now_ns() + 1'000'000'000;
        record.soft_expires_ns = record.expires_ns;
        record.checksum = checksum_of(value);
        return record;
    }
    std::optional<PutResult> put(const std::string& key, std::string_view value) {
        ShardWriter one = writer();
        REQUIRE(one.enter(1s));
        return one.put(wanted(key, value));
    }
    bool has(const std::string& key) {
        Look look = lookup.find({scoped.hash(key), key}, nullptr, scoped.clock->now_ns());
        const bool found = look.verdict == Verdict::live;
        release(look);
        return found;
    }
};

std::string key_of(int i) { return "key:" + std::to_string(i); }

}  // namespace

TEST_CASE("A writer says in its process's slot where it is", "[shard]") {
    Fixture f;
    {
        ShardWriter writer = f.writer();
        CHECK(f.mapping->thread_block()->inside.load() == 0);
        REQUIRE(writer.enter(1s));
        CHECK(f.mapping->thread_block()->inside.load() == 1);
        CHECK_FALSE(writer.rebuilt());
    }
    CHECK(f.mapping->thread_block()->inside.load() == 0);
}

TEST_CASE("A second writer gives up after its budget", "[R5][shard]") {
    const larder::test::Watchdog watchdog;
    Fixture f;
    ShardWriter holder = f.writer();
    REQUIRE(holder.enter(1s));
    bool entered = true;
    std::thread([&] {
        ShardWriter second(f.view, f.mapping->registry(), 0, nullptr, 0);
        entered = second.enter(5ms) || second.enter(0ms);
    }).join();
    CHECK_FALSE(entered);
}

TEST_CASE("Retired records are freed sixteen at a time, but for the pinned", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", proving_value("key", 0)) == PutResult::stored);
    Look held = f.lookup.find({f.scoped.hash("key"), "key"}, f.mapping->thread_block(), f.scoped.clock->now_ns());
    for (std::uint64_t i = 1; i <= 15; ++i) REQUIRE(f.put("key", proving_value("key", i)) == PutResult::stored);
    CHECK(f.shard.retired_count == 15);
    REQUIRE(f.put("key", proving_value("key", 16)) == PutResult::stored);
    CHECK(f.shard.retired_count == 1);
    CHECK(proven_version("key", value_of(*held.record)) == 0);
    CHECK(first_violation(f.view) == "");
    release(held);
    f.scoped.cache.tend();
    CHECK(f.shard.retired_count == 0);
}

TEST_CASE("A record that its writer left reserved is freed by the next, without a rebuild", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", proving_value("key", 1)) == PutResult::stored);
    const std::uint64_t used = f.shard.arena_used_bytes;
    testing::call_at_crash_point("put.filled", 1, [] { throw 1; });
    CHECK_THROWS(f.put("other", proving_value("other", 1)));
    CHECK(f.shard.reserved != 0);
    CHECK(f.shard.mutating.load() == 0);
    {
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        CHECK_FALSE(writer.rebuilt());
        CHECK(f.shard.reserved == 0);
    }
    CHECK(f.shard.arena_used_bytes == used);
    CHECK(f.has("key"));
    CHECK_FALSE(f.has("other"));
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("Whoever enters and finds `mutating` set rebuilds, whether or not it hears of a death", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", "value") == PutResult::stored);
    f.shard.mutating = 1;
    f.shard.moves = f.shard.moves + 1;
    {
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        CHECK(writer.rebuilt());
        CHECK(f.shard.mutating.load() == 0);
        CHECK(f.shard.rebuilds.load() == 1);
    }
    CHECK_FALSE(f.has("key"));
    REQUIRE(f.put("key", "value") == PutResult::stored);
    CHECK(f.has("key"));
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("A rebuilt shard is closed while a pin keeps the only arena there is", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", "value") == PutResult::stored);
    larder::Pinned held = f.scoped.cache.get("key");
    f.shard.mutating = 1;
    {
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        CHECK(f.shard.closed.load() == 1);
        writer.erase({f.scoped.hash("key"), "key"}, Fate::invalidated);
        writer.tend();
    }
    CHECK(f.put("key", "value") == PutResult::rebuilding);
    CHECK(first_violation(f.view) == "");
    CHECK(held.value() == "value");
    held.reset();
    CHECK(f.put("key", "value") == PutResult::stored);
    CHECK(f.shard.closed.load() == 0);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("An arena that a pin keeps for over 10 s is counted, once", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", "value") == PutResult::stored);
    larder::Pinned held = f.scoped.cache.get("key");
    f.shard.mutating = 1;
    f.scoped.cache.tend();
    CHECK(f.scoped.count(Counter::arenas_pinned) == 0);
    f.view.arena_state(0).condemned_ns -= 11'000'000'000;
    for (int i = 0; i < 2; ++i) f.scoped.cache.tend();
    CHECK(f.scoped.count(Counter::arenas_pinned) == 1);
    held.reset();
    CHECK(f.put("key", "value") == PutResult::stored);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("A renewed record takes the place of the one that it is a copy of, and of no other", "[shard]") {
    Fixture f;
    const std::string key = "key";
    REQUIRE(f.put("key", "value") == PutResult::stored);
    const auto id_there = [&] {
        Look look = f.lookup.find({f.scoped.hash(key), key}, nullptr, 0);
        const std::uint64_t id = look.record->id;
        release(look);
        return id;
    };
    NewRecord renewed = f.wanted(key, "value");
    renewed.renewed = id_there();
    REQUIRE(f.put("key", "newer") == PutResult::stored);
    const auto put = [&] {
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        return writer.put(renewed);
    };
    CHECK(put() == PutResult::older);
    CHECK(f.scoped.cache.get("key").value() == "newer");
    renewed.renewed = id_there();
    CHECK(put() == PutResult::stored);
}

TEST_CASE("A writer erases what is dead, not what was stored since", "[shard]") {
    Fixture f;
    REQUIRE(f.put("key", "value") == PutResult::stored);
    const auto erase = [&] {
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        writer.erase({f.scoped.hash("key"), "key"}, Fate::invalidated);
    };
    erase();
    CHECK(f.shard.entries.load() == 1);
    f.scoped.cache.invalidate("key");
    erase();
    CHECK(f.shard.entries.load() == 0);
}

TEST_CASE("Dead entries behind those kept for errors are found by the sweep", "[shard]") {
    Fixture f;
    for (int i = 0; i < 8; ++i) {
        const std::string key = key_of(i);
        NewRecord kept = f.wanted(key, "value");
        kept.stale_if_error_ms = 3'600'000;
        ShardWriter writer = f.writer();
        REQUIRE(writer.enter(1s));
        REQUIRE(writer.put(kept) == PutResult::stored);
    }
    f.scoped.clock->advance(1ms);
    for (int i = 8; i < 20; ++i) REQUIRE(f.put(key_of(i), "value") == PutResult::stored);
    f.scoped.clock->advance(2s);
    // Twice round: what is moved back by a deletion may be passed over.
    for (std::uint32_t i = 0; i < f.view.geometry->directory_slots; ++i) f.scoped.cache.tend();
    CHECK(f.shard.entries.load() == 8);
}

TEST_CASE("With strict recency a victim is looked for in slices of the lock", "[shard]") {
    Fixture f(strict(600));
    for (int i = 0; i < 600; ++i) REQUIRE(f.put(key_of(i), "value") == PutResult::stored);
    for (int i = 0; i < 600; ++i) REQUIRE(f.scoped.cache.get(key_of(599 - i)));
    int slices = 1;
    for (; slices < 10; ++slices)
        if (const auto result = f.put("new", "value")) {
            CHECK(*result == PutResult::stored);
            break;
        }
    CHECK(slices == 3);  // 600 stamps to correct, 256 at a time
    CHECK_FALSE(f.has(key_of(599)));
    CHECK(f.has(key_of(598)));
    CHECK(f.shard.entries.load() == 600);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("By the clock at most 32 stamps are corrected for a victim, the oldest of which goes", "[shard]") {
    larder::Options options;
    options.max_entries = 100;
    Fixture f(options);
    for (int i = 0; i < 100; ++i) REQUIRE(f.put(key_of(i), "value") == PutResult::stored);
    f.scoped.clock->advance(200ms);
    for (int i = 0; i < 100; ++i) {
        if (i == 20) continue;
        REQUIRE(f.scoped.cache.get(key_of(i)));
    }
    REQUIRE(f.put("new", "value") == PutResult::stored);
    CHECK_FALSE(f.has(key_of(20)));
    CHECK(f.shard.entries.load() == 100);
}

TEST_CASE("A writer drops eight expired entries a put, those kept for errors only when room is needed", "[shard]") {
    Fixture f;
    for (int i = 0; i < 20; ++i) REQUIRE(f.put(key_of(i), "value") == PutResult::stored);
    f.scoped.clock->advance(2s);
    REQUIRE(f.put("new", "value") == PutResult::stored);
    const std::uint64_t swept = f.shard.expirations.load() - 8;  // the sweep of two slots may have met some, too
    CHECK(swept <= 2);
    CHECK(f.shard.entries.load() == 13 - swept);
    for (int i = 0; i < 2; ++i) f.scoped.cache.tend();
    CHECK(f.shard.entries.load() == 1);
}

TEST_CASE("Overtaken entries are found by the sweep, a second after they were made", "[shard]") {
    Fixture f;
    for (int i = 0; i < 20; ++i) REQUIRE(f.put(key_of(i), "value") == PutResult::stored);
    f.scoped.cache.invalidate_all();
    const auto sweep = [&] {
        for (std::uint32_t i = 0; i < f.view.geometry->directory_slots; i += 2) f.scoped.cache.tend();
    };
    sweep();
    CHECK(f.shard.entries.load() == 20);
    f.scoped.clock->advance(999ms);
    f.shard.cursor = 0;
    sweep();
    CHECK(f.shard.entries.load() == 20);
    f.scoped.clock->advance(1ms);
    sweep();
    sweep();
    CHECK(f.shard.entries.load() == 0);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("A put counts its evictions and their age", "[shard]") {
    Fixture f(strict(1));
    REQUIRE(f.put("a", "value") == PutResult::stored);
    f.scoped.clock->advance(500ms);
    REQUIRE(f.put("b", "value") == PutResult::stored);
    CHECK(f.shard.evictions.load() == 1);
    CHECK(f.view.header().eviction_age_ms.count.load() == 1);
    CHECK(f.view.header().eviction_age_ms.sum.load() == 500);
}
