// Several processes on one cache: in turns against the model, and all at once with values that prove themselves.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/model_run.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"
#include "tests/support/world_of_changes.hpp"

using namespace larder;
using namespace larder::test;
using shm::Counter;

namespace {

constexpr std::uint32_t kProcesses = 4;
constexpr std::uint32_t kTurns = 200;

/// Who has the n-th turn, and how many operations.
struct Turn {
    std::uint32_t process, steps;
};
std::vector<Turn> turns_of(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<Turn> turns(kTurns);
    for (Turn& turn : turns)
        turn = {static_cast<std::uint32_t>(random() % kProcesses), 1 + static_cast<std::uint32_t>(random() % 60)};
    return turns;
}

/// Each process follows the whole run in its model, and does what falls into its own turns.
int take_turns(ScopedCache& scoped, std::uint32_t me, std::uint64_t seed, std::uint64_t max_entries, Channel& parent) {
    Cache own = Cache::open(scoped.options);
    ModelRun run(me % 2 == 0 ? scoped.cache : own, *scoped.clock, seed, max_entries);
    for (const Turn& turn : turns_of(seed)) {
        const bool mine = turn.process == me;
        if (mine && parent.hear() != 't') return 1;
        for (std::uint32_t i = 0; i < turn.steps; ++i) {
            const std::string wrong = run.step(mine);
            if (wrong.empty()) continue;
            parent.tell('w');
            parent.tell_bytes(wrong.data(), wrong.size());
            return 2;
        }
        if (mine) parent.tell('d');
    }
    parent.hear();
    return 0;
}

}  // namespace

TEST_CASE("Processes that take turns get what the model of one would", "[cache][fork]") {
    const Watchdog watchdog;
    const std::uint64_t seed = seed_of_run(), max_entries = GENERATE(0u, 10u);
    INFO("LARDER_SEED=" << seed);
    Options options;
    options.max_entries = max_entries;
    if (max_entries != 0) options.recency = Options::Recency::strict;
    ScopedCache scoped(options);
    ModelRun expected(scoped.cache, *scoped.clock, seed, max_entries);
    std::vector<ChildProcess> processes;
    for (std::uint32_t i = 0; i < kProcesses; ++i)
        processes.push_back(
            ChildProcess::start([&, i](Channel& parent) { return take_turns(scoped, i, seed, max_entries, parent); }));
    for (const Turn& turn : turns_of(seed)) {
        processes[turn.process].tell('t');
        std::string wrong;
        if (processes[turn.process].hear() != 'd') {
            while (const char byte = processes[turn.process].hear()) wrong += byte;
            FAIL("process " << turn.process << ": " << wrong);
        }
        for (std::uint32_t i = 0; i < turn.steps; ++i) expected.step(false);
    }
    for (ChildProcess& process : processes) process.tell('e');
    for (ChildProcess& process : processes) CHECK(process.wait().exited_with(0));
    CHECK(first_violation(scoped.view()) == "");
    const ModelCache::Counts& counts = expected.model.counts;
    const shm::CounterTotals totals = scoped.totals();
    CHECK(totals[Counter::hits] == counts.hits);
    CHECK(totals.misses() ==
          counts.cold + counts.expired + counts.evicted + counts.invalidated + counts.expired_or_invalidated);
    CHECK(totals[Counter::puts] == counts.puts);
    CHECK(totals[Counter::evictions] == counts.evictions);
    CHECK(totals[Counter::fenced_fills] == counts.fenced_fills);
}

TEST_CASE("Processes that write, read and change at once are never served what was overtaken", "[cache][fork]") {
    const Watchdog watchdog;
    const std::uint64_t seed = seed_of_run();
    INFO("LARDER_SEED=" << seed);
    Options options;
    options.max_entries = GENERATE(0u, 12u);
    ScopedCache scoped(options);
    WorldOfChanges world;
    std::vector<ChildProcess> processes;
    for (std::uint32_t i = 0; i < kProcesses; ++i)
        processes.push_back(
            ChildProcess::start([&, i](Channel&) { return world.live(scoped.cache, seed + i, 6'000); }));
    for (ChildProcess& process : processes) CHECK(process.wait(std::chrono::seconds(80)).exited_with(0));
    CHECK(world.first_wrong() == "");
    CHECK(scoped.totals().lookups() == world.lookups());
    CHECK(scoped.count(Counter::damaged_reads) == 0);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("Processes go on correctly while others of them are killed at random", "[cache][fork]") {
    const Watchdog watchdog;
    const std::uint64_t seed = seed_of_run();
    INFO("LARDER_SEED=" << seed);
    Options options;
    options.shards = 8;
    options.max_entries = 80;
    ScopedCache scoped(options);
    WorldOfChanges world;
    ChildProcess survivor = ChildProcess::start([&](Channel& parent) {
        while (parent.hear(std::chrono::milliseconds(0)) == 0)
            if (const int wrong = world.live(scoped.cache, seed, 500); wrong != 0) return wrong;
        return 0;
    });
    std::mt19937_64 random(seed);
    for (int i = 0; i < 40; ++i) {
        const std::uint64_t steps = 200 + random() % 3'000;
        ChildProcess victim = ChildProcess::start([&](Channel& parent) {
            world.live(scoped.cache, seed + 100 + static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(steps));
            parent.tell('n');  // at some point of its life, or waiting for its end
            return world.live(scoped.cache, seed + 200 + static_cast<std::uint64_t>(i), 1'000'000);
        });
        REQUIRE(victim.hear() == 'n');
        victim.kill(SIGKILL);
        REQUIRE(victim.wait().was_killed_by(SIGKILL));
    }
    survivor.tell('e');
    CHECK(survivor.wait(std::chrono::seconds(60)).exited_with(0));
    CHECK(world.first_wrong() == "");
    for (std::uint32_t shard = 0; shard < 8; ++shard) {
        const std::string key = scoped.key_in(shard, 0);
        CHECK(scoped.cache.put(key, "value") == PutResult::stored);
        CHECK(scoped.cache.get(key).value() == "value");
    }
    scoped.cache.tend();
    CHECK(first_violation(scoped.view()) == "");
    CHECK(scoped.count(Counter::damaged_reads) == 0);
}

TEST_CASE("A notice of a child that cannot register is heard by its parent", "[cache][fork]") {
    Options options;
    options.in_memory = true;
    options.size_bytes = 32 << 20;
    Cache cache = Cache::open(options);
    REQUIRE(cache.put("key", "value") == PutResult::stored);
    ChildProcess child = ChildProcess::start([&](Channel&) {
        if (cache.get("key")) return 1;  // an in_memory cache is its maker's alone
        return cache.invalidate("key") != 0 ? 0 : 2;
    });
    CHECK(child.wait().exited_with(0));
    CHECK_FALSE(cache.get("key"));
}
