// What the benchmarks of reading have in common: value sizes, distributions, and the loop.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>

#include "bench/lookups.hpp"
#include "bench/workload.hpp"

namespace larder::bench {

inline void sizes_and_distributions(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"bytes", "zipf"})->UseRealTime();
    for (const int bytes : {64, 1024, 8192, 65536})
        for (const int zipf : {0, 1}) benchmark->Args({bytes, zipf});
}

inline std::size_t value_bytes(const benchmark::State& state) { return static_cast<std::size_t>(state.range(0)); }
inline const Sequence& order(const benchmark::State& state) {
    return sequence(state.range(1) == 0 ? Distribution::uniform : Distribution::zipf);
}

/// One lookup per iteration; an error unless every one of them found its value.
template <Pace kPace = Pace::sequential, class Lookup>
void read_through(benchmark::State& state, Lookup lookup) {
    const Sequence& keys = order(state);
    time_walk(keys, value_bytes(state), lookup);
    Marks marks = 0;
    std::size_t use = 0, found = 0;
    for (auto _ : state) {
        const std::size_t at = kPace == Pace::sequential ? found : use++;
        found += lookup(keys[at], marks) == value_bytes(state) ? 1 : 0;
    }
    if (found != static_cast<std::size_t>(state.iterations())) state.SkipWithError("a lookup missed");
}

}  // namespace larder::bench
