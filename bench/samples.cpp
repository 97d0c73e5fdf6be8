#include "bench/samples.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>

namespace larder::bench {

Quantiles quantiles(std::vector<std::uint32_t> times_ns) {
    std::sort(times_ns.begin(), times_ns.end());
    const auto at = [&times_ns](double share) {
        const auto place = static_cast<std::size_t>(share * static_cast<double>(times_ns.size()));
        return static_cast<double>(times_ns[std::min(place, times_ns.size() - 1)]);
    };
    return {at(0.5), at(0.99), at(0.999), times_ns.size()};
}

Quantiles sample_empty(std::size_t samples, double lasting_ns) {
    const auto lasting = std::chrono::nanoseconds(static_cast<std::int64_t>(lasting_ns));
    return sample(samples, [lasting](std::size_t n) {
        benchmark::DoNotOptimize(n);
        if (lasting.count() == 0) return;
        const auto end = std::chrono::steady_clock::now() + lasting;
        while (std::chrono::steady_clock::now() < end) {}
    });
}

}  // namespace larder::bench
