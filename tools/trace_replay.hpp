// TraceReplay: what a cache would have made of a trace.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace larder::tools {

/// Exactly one of `entries` and `size_bytes` is not 0.
struct ReplayOptions {
    std::string trace;
    std::uint64_t entries = 0;     ///< holds exactly so many; bytes never bind, since values of one byte are stored
    std::uint64_t size_bytes = 0;  ///< a segment of that size, values as large as the trace says; below 16 MiB: that
                                   ///< many bytes of keys and values, since no segment is that small
    std::uint64_t expected_entries = 0;  ///< of a segment of that size; 0: one per 8 KiB
    std::chrono::milliseconds ttl{0};    ///< from insertion; 0: never over
    bool strict = false;                 ///< recency by a counter: LRU exact to the access
    std::uint32_t shards = 0;  ///< 0: one if strict, else the largest power of two <= entries / 2048, at least 1
};

struct ReplayResult {
    std::uint64_t requests = 0, hits = 0, misses = 0;
    std::uint64_t too_large = 0;      ///< values that no cache of these options takes
    std::uint64_t refused = 0;        ///< other values that the cache did not take: nothing more could be evicted
    std::uint64_t most_bytes = 0;     ///< of a value in such a cache
    bool limited_by_payload = false;  ///< what is too large is above max_bytes, not above a part of a shard
    double hit_ratio() const;
};

/// Feeds the trace to a private cache whose clock is the trace's time: get, on a miss put. Reads the file twice, first
/// to check it whole. Throws CsvError on a bad line or a file that changes meanwhile, OpenError where no such cache can
/// be made.
ReplayResult replay(const ReplayOptions& options,
                    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace larder::tools
