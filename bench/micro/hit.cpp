// Pinned hit, copied hit and miss of the cache, with everything that a user gets: recency, counters of key and total,
// fences.
#include <benchmark/benchmark.h>

#include "bench/lookups.hpp"
#include "bench/micro/reading.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

void hit_pinned(benchmark::State& state) { read_through(state, PinnedHit{stage(value_bytes(state)).cache()}); }
BENCHMARK(hit_pinned)->Apply(sizes_and_distributions);

void hit_get_or_compute(benchmark::State& state) {
    read_through(state, ComputedHit{stage(value_bytes(state)).cache()});
}
BENCHMARK(hit_get_or_compute)->Apply(sizes_and_distributions);

void hit_overlapping(benchmark::State& state) {
    read_through<Pace::overlapping>(state, PinnedHit{stage(value_bytes(state)).cache()});
}
BENCHMARK(hit_overlapping)->Apply(sizes_and_distributions);

void hit_copied(benchmark::State& state) {
    read_through(state, CopiedHit{stage(value_bytes(state)).cache(), std::vector<char>(value_bytes(state))});
}
BENCHMARK(hit_copied)->Apply(sizes_and_distributions);

void miss(benchmark::State& state) {
    Cache& cache = stage(value_bytes(state)).cache();
    const Sequence& absent = absent_sequence();
    std::size_t use = 0, hits = 0;
    for (auto _ : state) hits += cache.get(absent[use++]).state() != State::none ? 1 : 0;
    if (hits != 0) state.SkipWithError("a key was found that nobody stored");
}
BENCHMARK(miss)->ArgNames({"bytes"})->Arg(64)->Arg(8192)->UseRealTime();

}  // namespace
}  // namespace larder::bench
