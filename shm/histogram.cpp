#include "shm/histogram.hpp"

#include <algorithm>
#include <bit>

namespace larder::shm {

void add(Histogram& histogram, std::uint64_t value) {
    const auto bits = static_cast<std::uint32_t>(std::bit_width(value));
    histogram.buckets[std::min(bits, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
    histogram.sum.fetch_add(value, std::memory_order_relaxed);
    histogram.count.fetch_add(1, std::memory_order_relaxed);
}

HistogramSnapshot snapshot(const Histogram& histogram) {
    HistogramSnapshot copy;
    copy.sum = histogram.sum.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
        copy.buckets[i] = histogram.buckets[i].load(std::memory_order_relaxed);
        copy.count += copy.buckets[i];
    }
    return copy;
}

double HistogramSnapshot::mean() const {
    return count == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(count);
}

double HistogramSnapshot::percentile(double share) const {
    const double wanted = std::clamp(share, 0.0, 1.0) * static_cast<double>(count);
    double below = 0;
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
        const auto here = static_cast<double>(buckets[i]);
        if (here > 0 && below + here >= wanted) {
            const auto low = static_cast<double>(bucket_floor(i)), high = static_cast<double>(bucket_floor(i + 1));
            return i == 0 ? 0.0 : low + (high - low) * (wanted - below) / here;
        }
        below += here;
    }
    return 0;
}

}  // namespace larder::shm
