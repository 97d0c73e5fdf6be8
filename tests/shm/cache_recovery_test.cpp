// Shards whose writer died or was stopped: what becomes of pinned readers, of memory, and of everybody else.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "shm/location.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::ArenaKind;
using shm::Counter;
namespace testing = larder::shm::testing;

namespace {

Options eight_shards() {
    Options options;
    options.shards = 8;
    return options;
}

/// A child dies while it links a value for the key.
bool die_at(ScopedCache& scoped, const std::string& key, const char* point) {
    ChildProcess victim = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        scoped.cache.put(key, proving_value(key, 99));
        return 0;
    });
    return victim.wait().was_killed_by(SIGKILL);
}

int arenas(const ScopedCache& scoped, ArenaKind kind) {
    int count = 0;
    for (const shm::ArenaFacts& arena : shm::read_arenas(scoped.view())) count += arena.kind == kind ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("A writer that dies while it copies the value costs only its own put", "[R2][crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(0, 0), other = scoped.key_in(0, 1);
    REQUIRE(scoped.cache.put(key, proving_value(key, 1)) == PutResult::stored);
    scoped.cache.tend();
    const std::uint64_t used = scoped.used_bytes();
    REQUIRE(die_at(scoped, other, GENERATE("put.reserved", "put.filled")));
    CHECK(scoped.cache.get(key));
    scoped.cache.tend();
    CHECK(scoped.used_bytes() == used);
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 1);
    CHECK_FALSE(scoped.cache.get(other));
    CHECK(scoped.count(Counter::shard_rebuilds) == 0);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A shard whose control data lead out of its arena is rebuilt, and nothing in it followed", "[fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(2, 0), other = scoped.key_in(3, 0);
    for (const std::string& one : {key, other}) REQUIRE(scoped.cache.put(one, "before") == PutResult::stored);
    const auto segment = shm::Segment::attach(shm::locate(scoped.directory.path(), scoped.options.name, false));
    shm::Shard& shard = segment->view().shard(2);
    const Pinned held = scoped.cache.get(key);
    SECTION("another arena") { shard.arena = 0xFFFFFFFF; }
    SECTION("another shard's arena") { shard.arena = 3; }
    SECTION("reserved outside") { shard.reserved = 7; }
    SECTION("retired outside") { shard.retired_count = 1; }
    SECTION("the last retired outside") {
        const shm::Geometry& geometry = *segment->view().geometry;
        shard.retired_first = (geometry.arenas_at + 2 * geometry.arena_bytes + geometry.node_bytes) / shm::kUnitBytes;
        shard.retired_last = 7;
        shard.retired_count = 1;
    }
    SECTION("reserved behind") { shard.reserved = ~0ULL; }
    SECTION("more retired than there can be") {
        const shm::Geometry& geometry = *segment->view().geometry;
        shard.retired_first = shard.retired_last =
            (geometry.arenas_at + 2 * geometry.arena_bytes + geometry.node_bytes) / shm::kUnitBytes;
        shard.retired_count = 0xFFFFFFFF;
    }
    SECTION("an index in the head") { *reinterpret_cast<std::uint64_t*>(segment->view().arena(2)) = 0; }
    SECTION("an index between words") { *reinterpret_cast<std::uint64_t*>(segment->view().arena(2)) += 1; }
    SECTION("closed, with an arena") { shard.closed = 1; }
    SECTION("an index outside") { *reinterpret_cast<std::uint64_t*>(segment->view().arena(2)) = 1ULL << 40; }
    CHECK(scoped.cache.put(key, proving_value(key, 2)) == PutResult::stored);
    CHECK(scoped.count(Counter::shard_rebuilds) == 1);
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 2);
    CHECK(held.value() == "before");
    CHECK(scoped.cache.get(other).value() == "before");
    CHECK(arenas(scoped, ArenaKind::condemned) == 1);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("What a dead writer had half written is never served, also before anybody repairs it", "[crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(0, 0);
    REQUIRE(scoped.cache.put(key, proving_value(key, 1)) == PutResult::stored);
    const std::string point =
        GENERATE("put.allocated", "put.reserved", "put.filled", "put.linking", "put.indexed", "put.linked");
    REQUIRE(die_at(scoped, key, point.c_str()));
    const auto version = proven_version(key, scoped.cache.get(key).value());
    CHECK(version == (point == "put.linked" ? 99 : 1));
}

TEST_CASE("A reader's pin in a condemned arena keeps its value and the arena", "[crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(3, 0), other = scoped.key_in(4, 0);
    REQUIRE(scoped.cache.put(key, proving_value(key, 1, 20'000)) == PutResult::stored);
    REQUIRE(scoped.cache.put(other, proving_value(other, 1)) == PutResult::stored);
    Pinned held = scoped.cache.get(key);
    REQUIRE(die_at(scoped, key, "put.indexed"));
    CHECK(scoped.cache.put(key, proving_value(key, 2, 20'000)) == PutResult::stored);
    CHECK(proven_version(key, held.value()) == 1);
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 2);
    CHECK(scoped.cache.get(other));
    scoped.cache.tend();
    CHECK(arenas(scoped, ArenaKind::condemned) == 1);
    CHECK(arenas(scoped, ArenaKind::spare) == 0);
    CHECK(first_violation(scoped.view()) == "");

    SECTION("until it is dropped") {
        held.reset();
        scoped.cache.tend();
        CHECK(arenas(scoped, ArenaKind::condemned) == 0);
        CHECK(arenas(scoped, ArenaKind::spare) == 1);
    }
    SECTION("and the next shard without a spare goes on in its own") {
        REQUIRE(die_at(scoped, other, "put.indexed"));
        CHECK(scoped.cache.put(other, proving_value(other, 3)) == PutResult::stored);
        CHECK(proven_version(other, scoped.cache.get(other).value()) == 3);
        CHECK(proven_version(key, held.value()) == 1);
        held.reset();
        scoped.cache.tend();
        CHECK(arenas(scoped, ArenaKind::spare) == 1);
    }
    CHECK(first_violation(scoped.view()) == "");
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 2);
}

TEST_CASE("What a rebuilt shard had lost is missed as rebuilt", "[crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(0, 0), other = scoped.key_in(0, 1);
    REQUIRE(scoped.cache.put(key, "value") == PutResult::stored);
    REQUIRE(die_at(scoped, other, "put.linking"));
    scoped.cache.tend();
    CHECK_FALSE(scoped.cache.get(key));
    CHECK(scoped.count(Counter::misses_rebuilt) == 1);
    CHECK(scoped.count(Counter::shard_rebuilds) == 1);
}

TEST_CASE("The only shard is rebuilt in the only arena, once no pin is in it", "[R2][crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    std::vector<Pinned> held;
    for (int i = 0; i < 2; ++i) held.push_back(scoped.cache.get("key"));
    REQUIRE(die_at(scoped, "other", "put.indexed"));
    for (int i = 0; i < 3; ++i) {
        CHECK(scoped.cache.put("key", proving_value("key", 2)) == PutResult::rebuilding);
        CHECK_FALSE(scoped.cache.get("key"));
        CHECK(proven_version("key", held.back().value()) == 1);
        scoped.cache.tend();
        scoped.cache.erase("key");
        CHECK(first_violation(scoped.view()) == "");
        if (i == 1) held.pop_back();
    }
    const auto compute = [] { return std::optional<std::string>("computed"); };
    CHECK(scoped.cache.get_or_compute("key", compute).value() == "computed");
    held.clear();
    CHECK(scoped.cache.put("key", proving_value("key", 3)) == PutResult::stored);
    CHECK(proven_version("key", scoped.cache.get("key").value()) == 3);
    CHECK(scoped.count(Counter::shard_rebuilds) == 1);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A process killed while it opens a closed shard is followed by another", "[R2][crash][fork]") {
    const Watchdog watchdog;
    const char* second = GENERATE("rebuild.taken", "arena.nodes", "arena.records", "rebuild.formatted");
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1)) == PutResult::stored);
    const std::uint64_t used = scoped.used_bytes();
    Pinned held = scoped.cache.get("key");
    REQUIRE(die_at(scoped, "key", "put.linking"));
    REQUIRE(scoped.cache.put("key", proving_value("key", 2)) == PutResult::rebuilding);
    held.reset();
    REQUIRE(die_at(scoped, "key", second));
    CHECK(scoped.cache.put("key", proving_value("key", 2)) == PutResult::stored);
    CHECK(proven_version("key", scoped.cache.get("key").value()) == 2);
    CHECK(scoped.used_bytes() == used);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("An arena that a killed rebuild had left may be another shard's by now", "[R2][crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(0, 0), other = scoped.key_in(1, 0);
    REQUIRE(die_at(scoped, key, "put.linking"));
    REQUIRE(die_at(scoped, key, "rebuild.condemned"));
    const std::uint32_t left = scoped.view().shard(0).arena;
    REQUIRE(die_at(scoped, other, "put.linking"));
    REQUIRE(scoped.cache.put(other, proving_value(other, 1)) == PutResult::stored);
    REQUIRE(scoped.view().shard(1).arena == left);
    REQUIRE(scoped.cache.put(key, proving_value(key, 1)) == PutResult::stored);
    CHECK(first_violation(scoped.view()) == "");
    CHECK(proven_version(other, scoped.cache.get(other).value()) == 1);
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 1);
}

TEST_CASE("While a writer is stopped in its section others read, and write elsewhere", "[R4][crash][fork]") {
    const Watchdog watchdog;
    const char* point = GENERATE("put.allocated", "put.filled", "put.indexed", "unlink.directory", "retire.listed");
    INFO(point);
    ScopedCache scoped(eight_shards());
    const std::string key = scoped.key_in(0, 0), victim = scoped.key_in(0, 1);
    REQUIRE(scoped.cache.put(key, proving_value(key, 1)) == PutResult::stored);
    REQUIRE(scoped.cache.put(victim, proving_value(victim, 1)) == PutResult::stored);
    ChildProcess writer = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point, 1, testing::Death::stop);
        const PutResult put = scoped.cache.put(victim, proving_value(victim, 2));
        scoped.cache.erase(victim);
        return put == PutResult::stored ? 0 : 1;
    });
    REQUIRE(writer.wait_for_stop());
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 1);
    const Pinned seen = scoped.cache.get(victim);
    CHECK((!seen || proven_version(victim, seen.value()).has_value()));
    CHECK_FALSE(scoped.cache.touch(key, std::chrono::seconds(10)));
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 1);
    CHECK(scoped.cache.put(key, proving_value(key, 2)) == PutResult::busy);
    CHECK_FALSE(scoped.cache.get(key));
    CHECK(scoped.count(Counter::busy) == 1);
    for (std::uint32_t shard = 1; shard < 8; ++shard)
        CHECK(scoped.cache.put(scoped.key_in(shard, 0), "value") == PutResult::stored);
    scoped.cache.tend();
    scoped.cache.erase(key);
    CHECK(scoped.count(Counter::shard_rebuilds) == 0);
    writer.kill(SIGCONT);
    CHECK(writer.wait().exited_with(0));
    CHECK(scoped.cache.put(key, proving_value(key, 3)) == PutResult::stored);
    CHECK(proven_version(key, scoped.cache.get(key).value()) == 3);
    CHECK(scoped.count(Counter::shard_rebuilds) == 0);
    scoped.cache.tend();
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A process killed while it announces has announced nothing, or all of it", "[crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    const Stamp before = scoped.cache.stamp();
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    const char* point = GENERATE("fences.raise", "fences.applied");
    ChildProcess victim = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        scoped.cache.invalidate("key");
        return 0;
    });
    REQUIRE(victim.wait().was_killed_by(SIGKILL));
    CHECK(scoped.cache.stamp().notice == before.notice + 1);
    CHECK(scoped.cache.invalidate("key") == before.notice + 2);
    CHECK_FALSE(scoped.cache.get("key"));
    EntryOptions late;
    late.as_of = before;
    CHECK(scoped.cache.put("key", "late", late) == PutResult::fenced);
}
