// Pinned hits of one reading process, and of two at once, each on a processor of its own.
#include <benchmark/benchmark.h>

#include "bench/readers.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kValueBytes = 1024;
constexpr std::uint32_t kWalks = 8;

void reading_processes(benchmark::State& state) {
    const auto distribution = state.range(1) == 0 ? Distribution::uniform : Distribution::zipf;
    Readers readers(stage(kValueBytes).scoped().options(), distribution, kValueBytes);
    const std::uint32_t who = state.range(0) == 1 ? 0b01 : 0b11;
    double per_second = 0;
    for (auto _ : state) {
        per_second = readers.lookups_per_second(who, kWalks);
        state.SetIterationTime(static_cast<double>(kWalks * Sequence::kLength * state.range(0)) / per_second);
    }
    state.counters["lookups/s"] = per_second;
}
BENCHMARK(reading_processes)
    ->ArgNames({"processes", "zipf"})
    ->ArgsProduct({{1, 2}, {0, 1}})
    ->UseManualTime()
    ->Iterations(9)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace larder::bench
