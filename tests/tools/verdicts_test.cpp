// What is said of a cache, by how it is used.
#include "tools/verdicts.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace larder::tools;
using namespace std::chrono_literals;
using larder::shm::Counter;

namespace {

Rates rates_of(const std::vector<std::pair<Counter, std::uint64_t>>& counts) {
    Sample from, to;
    to.at = from.at + 1s;
    for (const auto& [counter, n] : counts) to.totals.values[static_cast<std::size_t>(counter)] = n;
    return {from, to};
}

Evidence evidence_of(const std::vector<std::pair<Counter, std::uint64_t>>& counts) {
    Evidence evidence;
    evidence.rates = rates_of(counts);
    evidence.processes = 1;
    return evidence;
}

Verdict first(const Evidence& evidence) { return verdicts_of(evidence).at(0); }

}  // namespace

TEST_CASE("A cache that is too small is told by the age at which it evicts what is missed", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 800}, {Counter::misses_evicted, 200}, {Counter::evictions, 200}});
    evidence.evicted = 200;
    evidence.eviction_age_s = 41;
    evidence.ttl_s = 300;
    const Verdict verdict = first(evidence);
    CHECK(verdict.is_bad);
    CHECK_THAT(verdict.text,
               Catch::StartsWith("Too small: evicted at age 41.0s under a TTL of 5m00s, missed by 20 % of "
                                 "lookups; at 7.3 times the size none would be. `larder record`"));
    evidence.ttl_s = 0;
    CHECK_THAT(first(evidence).text,
               Catch::StartsWith("Too small: evicted at age 41.0s, missed by 20 % of lookups. `larder record`"));
    evidence.ttl_s = 1e6;
    CHECK_THAT(first(evidence).text, !Catch::Contains("times the size"));
}

TEST_CASE("What is evicted and hardly missed is no trouble", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 995}, {Counter::misses_evicted, 5}, {Counter::evictions, 50}});
    evidence.evicted = 50;
    evidence.eviction_age_s = 41;
    evidence.ttl_s = 300;
    CHECK_FALSE(first(evidence).is_bad);
    CHECK_THAT(first(evidence).text, Catch::Contains("hardly missed (0.5 % of lookups)"));
}

TEST_CASE("A cache that is full by number of entries is not told to grow", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 800}, {Counter::misses_evicted, 200}, {Counter::evictions, 200}});
    evidence.evicted = 200;
    evidence.eviction_age_s = 2;
    evidence.ttl_s = 300;
    evidence.gauges.arena_used_bytes = 29;
    evidence.gauges.arena_bytes = 100;
    evidence.shortage = larder::shm::Shortage::places;
    CHECK(first(evidence).is_bad);
    CHECK(
        first(evidence).text ==
        "Full by number of entries, with 71 % of its memory free: evicted at age 2.0s under a TTL of 5m00s, missed by "
        "20 % of lookups. Make it anew with more --expected-entries; a larger size alone does not help.");
    evidence.shortage = larder::shm::Shortage::max_bytes;
    CHECK_THAT(first(evidence).text, Catch::StartsWith("Full by bytes of keys and values, with 71 % ") &&
                                         Catch::Contains("with more --max-bytes"));
}

TEST_CASE("Of what is evicted while nobody asks nothing is concluded", "[top]") {
    Evidence evidence = evidence_of({{Counter::evictions, 50}});
    evidence.evicted = 50;
    evidence.eviction_age_s = 0.25;
    const std::vector<Verdict> verdicts = verdicts_of(evidence);
    CHECK_FALSE(verdicts.at(0).is_bad);
    CHECK(verdicts.at(0).text ==
          "Evicted at age 250ms, while nothing was asked for: whether it will be missed is not known.");
    CHECK(verdicts.at(1).text == "Nothing is asked for.");
    evidence.rates = rates_of({{Counter::misses_evicted, 3}, {Counter::evictions, 50}});
    CHECK_THAT(first(evidence).text, Catch::Contains("while hardly anything was asked for"));
}

TEST_CASE("A service without its database is not well, however its cache is", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 100}});
    evidence.service.reads_database = false;
    CHECK(first(evidence).is_bad);
    CHECK_THAT(first(evidence).text, Catch::StartsWith("The database cannot be read:"));
    CHECK(verdicts_of(evidence).size() == 1);  // and nothing of all being well
    evidence.service = {.reads_database = true, .relay_caught_up = false};
    CHECK(first(evidence).is_bad);
    CHECK_THAT(first(evidence).text, Catch::StartsWith("Changes in the database are not relayed:"));
}

TEST_CASE("A cache whose database is not followed is degraded", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 100}});
    evidence.sync = larder::SyncState{.age = std::chrono::milliseconds(1'999),
                                      .degraded_after = std::chrono::seconds(2),
                                      .max_stale = std::chrono::seconds(0),
                                      .degraded = false};
    CHECK_FALSE(first(evidence).is_bad);
    evidence.sync->degraded = true;
    evidence.sync->age = std::chrono::seconds(12);
    CHECK(first(evidence).is_bad);
    CHECK_THAT(
        first(evidence).text,
        Catch::StartsWith("Degraded: the database has not been followed for 12.0s, which may be 2.0s. What was read "
                          "before is not served; "));
    evidence.sync->age.reset();
    evidence.sync->max_stale = std::chrono::seconds(30);
    CHECK_THAT(first(evidence).text, Catch::Contains("followed since the cache was made") &&
                                         Catch::Contains("is served until 32.0s have passed;"));
}

TEST_CASE("A counter of trouble is told with what to do about it", "[top]") {
    for (const Counter counter :
         {Counter::damaged_reads, Counter::no_space, Counter::busy, Counter::compute_failures}) {
        const auto& row = larder::shm::kCounterTable[static_cast<std::size_t>(counter)];
        const Verdict verdict = first(evidence_of({{Counter::hits, 1'000}, {counter, 3}}));
        CHECK(verdict.is_bad);
        CHECK(verdict.text ==
              std::string(row.name) + " 3.0/s: " + std::string(row.meaning) + ". " + std::string(row.remedy));
    }
    CHECK_FALSE(first(evidence_of({{Counter::hits, 1'000}, {Counter::untracked_lookups, 9}})).is_bad);
    CHECK(first(evidence_of({{Counter::hits, 1'000}, {Counter::untracked_lookups, 11}})).is_bad);
}

TEST_CASE("Many misses are told by their main reason", "[top]") {
    const Verdict verdict =
        first(evidence_of({{Counter::hits, 40}, {Counter::misses_cold, 20}, {Counter::misses_expired, 40}}));
    CHECK(verdict.is_bad);
    CHECK_THAT(verdict.text,
               Catch::StartsWith("Only 40 % hits; most are misses of keys whose value was past its TTL. Give"));
    CHECK_FALSE(first(evidence_of({{Counter::hits, 60}, {Counter::misses_cold, 40}})).is_bad);
    CHECK_FALSE(first(evidence_of({{Counter::misses_cold, 4}})).is_bad);  // of few lookups nothing is concluded
}

TEST_CASE("Processes that stand still, and callers that wait, are told", "[top]") {
    Evidence evidence = evidence_of({{Counter::hits, 100}});
    CHECK(first(evidence).text == "Nothing is wrong.");
    CHECK_FALSE(first(evidence).is_bad);
    evidence.longest_wait_ms = 4'200;
    CHECK_FALSE(first(evidence).is_bad);  // for nobody
    evidence.waiters = 3;
    CHECK(first(evidence).text == "3 callers wait for a computation that has run for 4.2s.");
    evidence.stopped = 1;
    CHECK_THAT(first(evidence).text, Catch::StartsWith("1 process stands stopped inside a shard"));
    CHECK(first(evidence).is_bad);
}

TEST_CASE("There is always a verdict", "[top]") {
    CHECK(first(Evidence{}).text == "Nobody is attached.");
    CHECK(first(evidence_of({})).text == "Nothing is asked for, and nothing is wrong.");
}
