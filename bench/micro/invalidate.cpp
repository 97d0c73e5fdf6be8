// A notice about a key, a tag, a namespace, everything: the same whether ten entries are there or a million.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "bench/micro/quantile_counters.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/writing.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kSamples = 20'000;

/// Kept from one kind of notice to the next: filling a million takes seconds.
Cache& tagged_cache(std::uint32_t entries) {
    static std::uint32_t current = 0;
    static std::unique_ptr<ScopedCache> cache;
    if (current != entries) {
        cache = std::make_unique<ScopedCache>(roomy(entries, 16));
        fill_tagged(**cache, entries);
        current = entries;
    }
    return **cache;
}

void invalidate(benchmark::State& state) {
    const Notice notice = kNotices[state.range(1)];
    const auto entries = static_cast<std::uint32_t>(state.range(0));
    Cache& cache = tagged_cache(entries);
    state.SetLabel(std::string(name_of(notice)));
    report_samples(state, kSamples, [&] { return sample_notices(cache, notice, entries, kSamples); });
}
BENCHMARK(invalidate)
    ->ArgNames({"entries", "kind"})
    ->ArgsProduct({{10, 1'000'000}, {0, 1, 2, 3}})
    ->UseManualTime()
    ->Iterations(1);

}  // namespace
}  // namespace larder::bench
