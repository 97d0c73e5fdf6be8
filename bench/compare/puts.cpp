// S8: puts over keys that are there, and into a cache so full that each evicts.
#include <fmt/format.h>

#include "bench/compare/groups.hpp"
#include "bench/workload.hpp"
#include "bench/writing.hpp"

namespace larder::bench {

void measure_puts(Report& report) {
    const std::size_t samples = report.effort().samples;
    for (const std::size_t value_bytes : {64u, 1024u, 8192u}) {
        const Quantiles evicting = sample_evicting_puts(value_bytes, samples);
        const Quantiles overwriting = sample_overwriting_puts(value_bytes, samples);
        const Quantiles empty = sample_empty(samples, evicting.p50_ns);
        const auto add = [&](const char* contender, const char* load, const Quantiles& times) {
            report.add({"put", contender, value_bytes, load, "ns", {times.p50_ns}, times});
            report.note(fmt::format("{:>6}, {:<12} {:<14} p50 {:.2f} us, p99 {:.2f}, p99.9 {:.2f}",
                                    bytes_text(value_bytes), load, contender, times.p50_ns / 1e3, times.p99_ns / 1e3,
                                    times.p999_ns / 1e3));
        };
        add("Larder", "evicting", evicting);
        add("Larder", "overwriting", overwriting);
        add("an empty loop", "as long", empty);
        if (value_bytes != 8192) continue;
        const auto judge = [&](const char* what, double limit_us, double measured_ns) {
            const double us = measured_ns / 1e3;
            report.judge("S8", {what, "us", {"<=", limit_us}, us, {us}, samples});
        };
        judge("put of 8 KiB on a full cache, p50", 4, evicting.p50_ns);
        judge("put of 8 KiB on a full cache, p99", 15, evicting.p99_ns);
    }
}

}  // namespace larder::bench
