#include "shm/counters.hpp"

#include <algorithm>
#include <cstring>

namespace larder::shm {
namespace {

constexpr std::string_view kMoreMemory = "Make the cache larger (--size), or the values smaller.";
constexpr std::string_view kLookAtSource = "Look at the log of the program that computes, and at its source.";

constexpr std::array<CounterText, kCounters> kTable{{
    {Counter::hits, "hits", "lookups that were given a live value at once, stale ones included", ""},
    {Counter::stale_hits, "stale_hits", "hits on a value past its soft TTL",
     "Computations take long or fail: look at compute_failures and at the compute time."},
    {Counter::misses_cold, "misses_cold", "misses of keys that were not stored before, or are not tracked",
     "Warm the keys that are known beforehand."},
    {Counter::misses_expired, "misses_expired", "misses of keys whose value was past its TTL",
     "Give a longer TTL, or a soft TTL, where notices announce all changes."},
    {Counter::misses_evicted, "misses_evicted", "misses of keys whose value had to make room for others", kMoreMemory},
    {Counter::misses_invalidated, "misses_invalidated", "misses of keys whose value was overtaken by a notice",
     "Name keys or narrow tags in notices, rather than namespaces or everything."},
    {Counter::misses_rebuilt, "misses_rebuilt", "misses because a shard was emptied after a writer died",
     "Find out what kills processes: look at shard_rebuilds."},
    {Counter::misses_contended, "misses_contended", "misses because a lookup lost its race with writers several times",
     "Use more shards, or write less often."},
    {Counter::puts, "puts", "values stored", ""},
    {Counter::evictions, "evictions", "live values dropped to make room, the least recently used first", kMoreMemory},
    {Counter::expirations, "expirations", "values dropped because their TTL was over", ""},
    {Counter::invalidations, "invalidations", "notices announced: keys, tags, namespaces, everything", ""},
    {Counter::fenced_fills, "fenced_fills", "values not stored: their source had changed since it was read",
     "Harmless; if it goes on, changes come faster than computations end."},
    {Counter::older_puts, "older_puts", "values not stored: the one there was read from its source later", ""},
    {Counter::lease_waits, "lease_waits", "misses that waited for another's computation of the same key", ""},
    {Counter::lease_takeovers, "lease_takeovers", "leases taken from a holder that died or was past its deadline",
     "Find out what kills or stops processes, or raise lease_time above the longest computation."},
    {Counter::lease_timeouts, "lease_timeouts", "waits for another's computation that ended at their deadline",
     "Raise wait_time, or make computations shorter."},
    {Counter::computations, "computations", "values computed after a miss", ""},
    {Counter::compute_failures, "compute_failures", "computations that ended in an exception", kLookAtSource},
    {Counter::shard_rebuilds, "shard_rebuilds", "shards emptied because a process died while it edited them",
     "Find out what kills processes: out of memory, crashes, SIGKILL by a supervisor."},
    {Counter::no_space, "no_space", "values not stored: nothing more could be evicted within the bound", kMoreMemory},
    {Counter::too_large, "too_large",
     "values not stored: above a quarter of a shard or its part of max_bytes, or too many tags",
     "Use fewer shards, or a larger cache."},
    {Counter::busy, "busy", "values not stored: the shard's lock was not to be had in time",
     "Look for stopped processes (state T in ps); else raise lock_budget."},
    {Counter::untracked_lookups, "untracked_lookups", "lookups without counts of their own: the key table is full",
     "Raise tracked_keys when the cache is made anew."},
    {Counter::copied_reads, "copied_reads", "hits that were copied because the thread had no free pin",
     "Drop handles earlier, or hold fewer of them in one thread."},
    {Counter::damaged_reads, "damaged_reads", "values whose bytes did not match their checksum, taken as misses",
     "Make the cache anew, and check the machine's memory."},
    {Counter::stale_on_error, "stale_on_error", "stale values served in place of a failed computation",
     "See compute_failures: the source could not be read."},
    {Counter::arenas_pinned, "arenas_pinned", "arenas that a forgotten handle kept from being used again for 10 s",
     "`larder doctor` names the process and the key: drop the handle, or restart that process."},
    {Counter::refreshes, "refreshes", "computations of what was stale, while it went on being served", ""},
    {Counter::coalesced, "coalesced", "computations put off so that further notices of the key cost none", ""},
    {Counter::tier_hits, "tier_hits", "values taken from the second tier, where another host had computed them", ""},
    {Counter::tier_unreachable, "tier_unreachable", "computations of what is shared without the second tier",
     "`larder doctor` and the services' logs say why it cannot be reached."},
}};

constexpr bool in_order() {
    for (std::uint32_t i = 0; i < kCounters; ++i)
        if (kTable[i].counter != static_cast<Counter>(i)) return false;
    return true;
}
constexpr bool texts_fit() {
    return std::all_of(kTable.begin(), kTable.end(), [](const CounterText& row) {
        return !row.name.empty() && row.name.size() < sizeof(CounterLabel::name) && !row.meaning.empty() &&
               row.meaning.size() < sizeof(CounterLabel::meaning);
    });
}
static_assert(in_order(), "a row's place is its counter's number");
static_assert(texts_fit(), "texts must fit the segment's labels, with a zero at their end");

void add_block(CounterTotals& totals, const ThreadBlock& block) {
    for (std::uint32_t i = 0; i < kThreadCounters; ++i)
        totals.values[i] += block.counts[i].load(std::memory_order_relaxed);
}

}  // namespace

constinit const std::array<CounterText, kCounters> kCounterTable = kTable;

void write_counter_labels(SegmentHeader& header) {
    for (std::uint32_t i = 0; i < kCounters; ++i) {
        CounterLabel& label = header.labels[i];
        label = {};
        std::memcpy(label.name, kTable[i].name.data(), kTable[i].name.size());
        std::memcpy(label.meaning, kTable[i].meaning.data(), kTable[i].meaning.size());
    }
}

std::uint64_t CounterTotals::misses() const {
    const CounterTotals& all = *this;
    return all[Counter::misses_cold] + all[Counter::misses_expired] + all[Counter::misses_evicted] +
           all[Counter::misses_invalidated] + all[Counter::misses_rebuilt] + all[Counter::misses_contended];
}

std::uint64_t CounterTotals::lookups() const { return (*this)[Counter::hits] + misses(); }

CounterTotals read_totals(const SegmentView& view) {
    CounterTotals totals;
    const SegmentHeader& header = view.header();
    for (std::uint32_t i = 0; i < kThreadCounters; ++i)
        totals.values[i] = header.overflow_counts[i].load(std::memory_order_relaxed);
    const std::uint32_t slots = std::min(header.registry_high.load(std::memory_order_acquire), kProcesses);
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        const std::uint32_t used = view.process(slot).blocks_high.load(std::memory_order_acquire);
        for (std::uint32_t block = 0; block < std::min(used, kThreadBlocks); ++block)
            add_block(totals, view.threads(slot)[block]);
    }
    return totals;
}

}  // namespace larder::shm
