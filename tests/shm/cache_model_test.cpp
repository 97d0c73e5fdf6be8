// The cache against a model of it, under random operations. LARDER_SEED=n repeats a run.
#include <catch2/catch.hpp>

#include "shm/cache.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/model_run.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using shm::Counter;

namespace {

constexpr int kSteps = 20'000;

void check_counts(const ScopedCache& scoped, const ModelCache& model) {
    const shm::CounterTotals totals = scoped.totals();
    const ModelCache::Counts& counts = model.counts;
    CHECK(totals[Counter::hits] == counts.hits);
    CHECK(totals[Counter::stale_hits] == counts.stale_hits);
    CHECK(totals[Counter::misses_cold] == counts.cold);
    CHECK(totals[Counter::misses_evicted] == counts.evicted);
    CHECK(totals[Counter::misses_expired] >= counts.expired);
    CHECK(totals[Counter::misses_invalidated] >= counts.invalidated);
    CHECK(totals[Counter::misses_expired] + totals[Counter::misses_invalidated] ==
          counts.expired + counts.invalidated + counts.expired_or_invalidated);
    CHECK(totals[Counter::puts] == counts.puts);
    CHECK(totals[Counter::evictions] == counts.evictions);
    CHECK(totals[Counter::fenced_fills] == counts.fenced_fills);
    CHECK(totals[Counter::older_puts] == counts.older_puts);
    CHECK(totals[Counter::too_large] == counts.too_large);
    CHECK(totals[Counter::invalidations] == counts.invalidations);
    for (const Counter none : {Counter::misses_rebuilt, Counter::misses_contended, Counter::no_space, Counter::busy,
                               Counter::damaged_reads, Counter::shard_rebuilds})
        CHECK(totals[none] == 0);
    CHECK(totals[Counter::untracked_lookups] == counts.cold);  // of keys that were never put
    const std::uint64_t misses =
        counts.cold + counts.evicted + counts.expired + counts.invalidated + counts.expired_or_invalidated;
    CHECK(totals.lookups() == counts.hits + misses);
}

void run(ScopedCache& scoped, std::uint64_t max_entries) {
    const Watchdog watchdog;
    const std::uint64_t seed = seed_of_run();
    INFO("LARDER_SEED=" << seed);
    ModelRun run(scoped.cache, *scoped.clock, seed, max_entries);
    for (int i = 0; i < kSteps; ++i) {
        const std::string wrong = run.step(true);
        if (!wrong.empty()) FAIL(wrong);
        if (i % 1000 == 0) CHECK(first_violation(scoped.view()) == "");
    }
    CHECK(first_violation(scoped.view()) == "");
    check_counts(scoped, run.model);
}

}  // namespace

TEST_CASE("Random operations get what a map with fences and expiry would give", "[cache]") {
    Options options;
    options.shards = GENERATE(1u, 4u);
    ScopedCache scoped(options);
    run(scoped, 0);
}

TEST_CASE("Strict recency evicts exactly the least recently used", "[cache]") {
    Options options;
    options.recency = Options::Recency::strict;
    options.max_entries = GENERATE(1u, 7u, 20u);
    ScopedCache scoped(options);
    run(scoped, options.max_entries);
}

TEST_CASE("Recency by the clock keeps the limit on entries and what was used in the last step", "[cache]") {
    Options options;
    options.max_entries = 20;
    ScopedCache scoped(options);
    const std::string favourite = "page:favourite";
    REQUIRE(scoped.cache.put(favourite, "value") == PutResult::stored);
    for (int i = 0; i < 500; ++i) {
        scoped.clock->advance(std::chrono::milliseconds(200));
        REQUIRE(scoped.cache.get(favourite).value() == "value");
        REQUIRE(scoped.cache.put("page:" + std::to_string(i), "value") == PutResult::stored);
        REQUIRE(scoped.entries() <= 20);
    }
    CHECK(scoped.count(Counter::evictions) == 481);
    CHECK(first_violation(scoped.view()) == "");
}
