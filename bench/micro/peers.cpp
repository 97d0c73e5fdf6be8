// The Boost mutex + MultiIndex cache on the same keys: as a string of its own for each hit, and into one that is
// re-used.
#include <benchmark/benchmark.h>

#include "bench/lookups.hpp"
#include "bench/micro/reading.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

void boost_mutex_hit(benchmark::State& state) { read_through(state, LockedHit{stage(value_bytes(state)).locked()}); }
BENCHMARK(boost_mutex_hit)->Apply(sizes_and_distributions);

void boost_mutex_hit_reused(benchmark::State& state) {
    read_through(state, LockedHitReusing{stage(value_bytes(state)).locked(), {}});
}
BENCHMARK(boost_mutex_hit_reused)->Apply(sizes_and_distributions);

}  // namespace
}  // namespace larder::bench
