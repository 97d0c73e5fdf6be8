// hash + one directory probe + whole-key comparison (+ memcpy of the value), on the same keys in a table of one thread.
#include <benchmark/benchmark.h>

#include "bench/lookups.hpp"
#include "bench/micro/reading.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

void floor_lookup(benchmark::State& state) { read_through(state, Floor{stage(value_bytes(state)).table()}); }
BENCHMARK(floor_lookup)->Apply(sizes_and_distributions);

void floor_overlapping(benchmark::State& state) {
    read_through<Pace::overlapping>(state, Floor{stage(value_bytes(state)).table()});
}
BENCHMARK(floor_overlapping)->Apply(sizes_and_distributions);

void floor_copied(benchmark::State& state) {
    read_through(state, CopiedFloor{stage(value_bytes(state)).table(), std::vector<char>(value_bytes(state))});
}
BENCHMARK(floor_copied)->Apply(sizes_and_distributions);

}  // namespace
}  // namespace larder::bench
