// The tick of the clock that a cache reads: what it measures may be off by one of them.
#pragma once

#include <time.h>

#include <cstdint>

namespace larder::test {

inline std::int64_t coarse_tick_ns() {
    timespec tick{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return tick.tv_nsec;
}

/// R9: no value is served longer after its end, in milliseconds.
inline double latest_ms() { return 2 * static_cast<double>(coarse_tick_ns()) / 1e6; }

}  // namespace larder::test
