// Fleet: processes that read one cache at a given rate, whether or not earlier lookups have ended (an open loop), so
// that whoever waits is counted with all that he waited; and writers beside them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/workload.hpp"
#include "core/latency_histogram.hpp"
#include "shm/cache.hpp"

namespace larder::bench {

struct Load {
    std::uint32_t readers = 1;
    std::int64_t read_every_ns = 1'000;  ///< each of them; from 50 us on they sleep in between; 0: a closed loop
    std::uint32_t writers = 0;
    std::int64_t write_every_ns = 100'000;  ///< each; a value over one that is there
    bool writers_only_wait = false;         ///< they do everything but write: what else a busy processor costs
    bool writer_is_stopped = false;         ///< one more writer stands still in its section meanwhile
    std::size_t value_bytes = 1024;
    Distribution distribution = Distribution::uniform;
    std::chrono::milliseconds time{1'000};
};

struct Reading {
    LatencyHistogram times;  ///< from when a lookup was due until it had its value
    double lookups_per_second = 0;
    std::uint64_t contended =
        0;  ///< lookups that found nothing, since a value was being changed or its shard stood still
};

/// The cache has the workload's keys with values of that size. Readers take the first processors, writers the next, as
/// far as there are some. Throws std::runtime_error: a process failed, or read a wrong value.
Reading read_under(const Options& options, const Load& load);

}  // namespace larder::bench
