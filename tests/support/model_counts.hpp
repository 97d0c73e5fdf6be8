// A segment's counters against those of the model.
#pragma once

#include <cstdint>
#include <string>

#include "shm/counters.hpp"
#include "tests/support/model_cache.hpp"

namespace larder::test {

/// The first counter that is not what the model counted, in words; empty: all are.
inline std::string wrong_count(const shm::CounterTotals& totals, const ModelCache::Counts& counts) {
    using shm::Counter;
    const std::uint64_t dead = counts.expired + counts.invalidated + counts.expired_or_invalidated;
    const struct {
        const char* name;
        std::uint64_t got, expected;
    } rows[] = {
        {"hits", totals[Counter::hits], counts.hits},
        {"stale_hits", totals[Counter::stale_hits], counts.stale_hits},
        {"misses_cold", totals[Counter::misses_cold], counts.cold},
        {"misses_evicted", totals[Counter::misses_evicted], counts.evicted},
        {"misses_expired + misses_invalidated", totals[Counter::misses_expired] + totals[Counter::misses_invalidated],
         dead},
        {"puts", totals[Counter::puts], counts.puts},
        {"evictions", totals[Counter::evictions], counts.evictions},
        {"fenced_fills", totals[Counter::fenced_fills], counts.fenced_fills},
        {"older_puts", totals[Counter::older_puts], counts.older_puts},
        {"too_large", totals[Counter::too_large], counts.too_large},
        {"invalidations", totals[Counter::invalidations], counts.invalidations},
        {"untracked_lookups", totals[Counter::untracked_lookups], counts.untracked},
        {"lookups", totals.lookups(), counts.hits + counts.cold + counts.evicted + dead},
        {"misses_rebuilt", totals[Counter::misses_rebuilt], 0},
        {"misses_contended", totals[Counter::misses_contended], 0},
        {"no_space", totals[Counter::no_space], 0},
        {"busy", totals[Counter::busy], 0},
        {"damaged_reads", totals[Counter::damaged_reads], 0},
        {"shard_rebuilds", totals[Counter::shard_rebuilds], 0},
    };
    for (const auto& row : rows)
        if (row.got != row.expected)
            return std::string(row.name) + ": " + std::to_string(row.got) + ", not " + std::to_string(row.expected);
    if (totals[Counter::misses_expired] < counts.expired) return "misses_expired: too few";
    if (totals[Counter::misses_invalidated] < counts.invalidated) return "misses_invalidated: too few";
    return {};
}

}  // namespace larder::test
