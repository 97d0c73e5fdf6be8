// The cache against a model of it, under random operations. LARDER_SEED=n repeats a run.
#include <catch2/catch.hpp>

#include "shm/cache.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/model_counts.hpp"
#include "tests/support/model_run.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using shm::Counter;

namespace {

constexpr int kSteps = 20'000;

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
    CHECK(wrong_count(scoped.totals(), run.model.counts) == "");
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
