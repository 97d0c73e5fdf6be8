// A put on a full cache, which evicts, and a put over an existing key: p50, p99 and p99.9 of single calls.
#include <benchmark/benchmark.h>

#include "bench/micro/quantile_counters.hpp"
#include "bench/writing.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kSamples = 20'000;

void put_evicting(benchmark::State& state) {
    report_samples(state, kSamples,
                   [&] { return sample_evicting_puts(static_cast<std::size_t>(state.range(0)), kSamples); });
}
BENCHMARK(put_evicting)->ArgNames({"bytes"})->Arg(64)->Arg(1024)->Arg(8192)->UseManualTime()->Iterations(1);

void put_overwriting(benchmark::State& state) {
    report_samples(state, kSamples,
                   [&] { return sample_overwriting_puts(static_cast<std::size_t>(state.range(0)), kSamples); });
}
BENCHMARK(put_overwriting)->ArgNames({"bytes"})->Arg(64)->Arg(1024)->Arg(8192)->UseManualTime()->Iterations(1);

}  // namespace
}  // namespace larder::bench
