// The clock that a cache reads: what it measures may be off by a tick, and on a busy host it is ticks behind the true
// one.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

#include "shm/system.hpp"
#include "tests/support/eventually.hpp"

namespace larder::test {

inline std::int64_t coarse_tick_ns() {
    timespec tick{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return tick.tv_nsec;
}

/// R9: no value is served longer after its end, in milliseconds.
inline double latest_ms() { return 2 * static_cast<double>(coarse_tick_ns()) / 1e6; }

/// Returns once more than `time` has passed by the cache's clock, as when its name is looked at again.
inline void pass(std::chrono::nanoseconds time) {
    const std::int64_t began_ns = shm::system::coarse_ns();
    eventually([&] { return shm::system::coarse_ns() - began_ns > time.count(); });
}

}  // namespace larder::test
