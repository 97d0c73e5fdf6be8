// Times of single operations, each taken by itself. Reading the clock is in every one of them: an empty operation
// measured in the same way says how much that is, and how often the machine takes the processor away.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace larder::bench {

struct Quantiles {
    double p50_ns = 0, p99_ns = 0, p999_ns = 0;
    std::size_t samples = 0;
};
Quantiles quantiles(std::vector<std::uint32_t> times_ns);

/// Calls operate(n) for n = 0 ... samples - 1.
template <class Operate>
Quantiles sample(std::size_t samples, Operate&& operate) {
    using Clock = std::chrono::steady_clock;
    std::vector<std::uint32_t> times_ns(samples);
    for (std::size_t n = 0; n < samples; ++n) {
        const Clock::time_point started = Clock::now();
        operate(n);
        times_ns[n] = static_cast<std::uint32_t>(std::chrono::nanoseconds(Clock::now() - started).count());
    }
    return quantiles(std::move(times_ns));
}

/// The same of an empty loop that lasts so long: what of the high quantiles is the machine's doing. 0: of nothing at
/// all.
Quantiles sample_empty(std::size_t samples, double lasting_ns = 0);

}  // namespace larder::bench
