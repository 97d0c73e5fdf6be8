// A histogram in powers of two: bucket b counts the values of b significant bits, the last one all that are longer.
#pragma once

#include <array>
#include <cstdint>

#include "shm/layout.hpp"

namespace larder::shm {

/// Adds one value. Lock-free, from any thread and process; a kill inside may leave `sum` one value behind the buckets.
void add(Histogram& histogram, std::uint64_t value);

/// A copy to look at. `count` is the sum of its buckets, so that it is consistent in itself.
struct HistogramSnapshot {
    std::uint64_t count = 0, sum = 0;
    std::array<std::uint64_t, kBuckets> buckets{};

    /// 0 while it is empty.
    double mean() const;
    /// The value below which `share` (0..1) of all values lie, interpolated in its bucket: off by less than a factor
    /// of two. 0 while it is empty.
    double percentile(double share) const;
};
HistogramSnapshot snapshot(const Histogram& histogram);

/// Values of bucket b are >= bucket_floor(b) and < bucket_floor(b + 1).
constexpr std::uint64_t bucket_floor(std::uint32_t bucket) { return bucket == 0 ? 0 : 1ULL << (bucket - 1); }

}  // namespace larder::shm
