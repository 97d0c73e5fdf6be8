// What a harness says of many times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace larder::test {

inline constexpr double kUs = 1e3, kMs = 1e6;  // in nanoseconds

/// The time below which this share (0..1) of all lie, in units of so many nanoseconds; 0: there are none.
inline double quantile(std::vector<std::int64_t> times_ns, double share, double unit_ns) {
    if (times_ns.empty()) return 0;
    const auto at = times_ns.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times_ns.size() - 1));
    std::nth_element(times_ns.begin(), at, times_ns.end());
    return static_cast<double>(*at) / unit_ns;
}

}  // namespace larder::test
