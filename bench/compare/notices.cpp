// S7: a notice costs the same whether ten entries are there or a million.
#include <fmt/format.h>

#include "bench/compare/groups.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/writing.hpp"

namespace larder::bench {

void measure_notices(Report& report) {
    const std::size_t samples = report.effort().samples;
    for (const std::uint32_t entries : {10u, 1'000'000u}) {
        ScopedCache cache(roomy(entries, 16));
        fill_tagged(*cache, entries);
        for (const Notice notice : kNotices) {
            const Quantiles times = sample_notices(*cache, notice, entries, samples);
            const std::string load = fmt::format("{}, {} entries", name_of(notice), entries);
            report.add({"invalidate", "Larder", 16, load, "ns", {times.p50_ns}, times});
            report.judge("S7", {"invalidate " + load, "ns", {"<=", 250}, times.p50_ns, {times.p50_ns}, samples});
        }
    }
    report.add({"invalidate", "an empty loop", 0, "", "ns", {}, sample_empty(samples)});
}

}  // namespace larder::bench
