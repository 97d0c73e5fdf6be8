// Quantiles of single calls as the counters of one benchmark, whose own time is the median.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>

#include "bench/samples.hpp"

namespace larder::bench {

/// `measure`: Quantiles(). For benchmarks of one iteration with manual time.
template <class Measure>
void report_samples(benchmark::State& state, std::size_t samples, Measure&& measure) {
    Quantiles times, empty;
    for (auto _ : state) {
        times = measure();
        empty = sample_empty(samples, times.p50_ns);
        state.SetIterationTime(times.p50_ns * 1e-9);
    }
    state.counters["p50_ns"] = times.p50_ns;
    state.counters["p99_ns"] = times.p99_ns;
    state.counters["p99.9_ns"] = times.p999_ns;
    state.counters["empty_p99_ns"] = empty.p99_ns;
    state.counters["empty_p99.9_ns"] = empty.p999_ns;
}

}  // namespace larder::bench
