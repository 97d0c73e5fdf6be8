// Differences of times that come from a segment: whatever it holds, they are defined.
#pragma once

#include <cstdint>
#include <limits>

namespace larder::shm {

/// to - from; the end of the range where that does not fit.
constexpr std::int64_t elapsed_ns(std::int64_t from_ns, std::int64_t to_ns) {
    std::int64_t ns = 0;
    if (!__builtin_sub_overflow(to_ns, from_ns, &ns)) return ns;
    return from_ns > 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

}  // namespace larder::shm
