// Totals of the cache: one table says what each counter is called, what it means and what to do about it.
//
// Each thread adds to words of its own block (relaxed load and store: nobody else writes them), so that counting costs
// no locked instruction and the sum over all blocks is exact: a block outlives its thread and its process.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "shm/layout.hpp"

namespace larder::shm {

/// The number is the counter's place in ThreadBlock::counts: part of the format. The first three share the pins' line.
enum class Counter : std::uint32_t {
    hits,
    stale_hits,
    misses_cold,
    misses_expired,
    misses_evicted,
    misses_invalidated,
    misses_rebuilt,
    misses_contended,
    puts,
    evictions,
    expirations,
    invalidations,
    fenced_fills,
    older_puts,
    lease_waits,
    lease_takeovers,
    lease_timeouts,
    computations,
    compute_failures,
    shard_rebuilds,
    no_space,
    too_large,
    busy,
    untracked_lookups,
    copied_reads,
    damaged_reads,
    stale_on_error,
    arenas_pinned,
    refreshes,
    coalesced,
    tier_hits,
    tier_unreachable,
};
inline constexpr std::uint32_t kCounters = 32;
static_assert(kCounters <= kThreadCounters);

/// One row: `meaning` fits a CounterLabel, `remedy` is what to do when the number grows ("" for mere facts).
struct CounterText {
    Counter counter;
    std::string_view name, meaning, remedy;
};
extern const std::array<CounterText, kCounters> kCounterTable;

/// Writes name and meaning of every counter into a header that is being made.
void write_counter_labels(SegmentHeader& header);

/// Adds n. REQUIRES: `own` belongs to the calling thread; nullptr: the calling thread has no block.
inline void count(ThreadBlock* own, SegmentHeader& header, Counter counter, std::uint64_t n = 1) {
    const auto at = static_cast<std::uint32_t>(counter);
    if (own == nullptr) {
        header.overflow_counts[at].fetch_add(n, std::memory_order_relaxed);
        return;
    }
    Word64& word = own->counts[at];
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

/// Sums by place in the table; places past kCounters are a newer library's (its header has the labels).
struct CounterTotals {
    std::array<std::uint64_t, kThreadCounters> values{};

    std::uint64_t operator[](Counter counter) const { return values[static_cast<std::uint32_t>(counter)]; }
    std::uint64_t misses() const;   ///< of all reasons
    std::uint64_t lookups() const;  ///< hits (stale ones are among them) and misses
};

/// Sums over every block that was ever used. Exact once the counting threads rest; never falls from call to call.
CounterTotals read_totals(const SegmentView& view);

}  // namespace larder::shm
