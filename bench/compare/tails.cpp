// S6, and what many readers see: in an open loop, with and without writers, one of them stopped inside its section.
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/fleet.hpp"
#include "bench/rounds.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kWriteEveryNs = 100'000;  // 10,000 entries a second

Quantiles quantiles_of(const LatencyHistogram& times) {
    const auto at = [&](double share) { return static_cast<double>(times.quantile(share)); };
    return {at(0.5), at(0.99), at(0.999), times.count()};
}

/// S6: one reader's tail beside a writer, and alone; and beside a process that does everything but write, which says
/// what of the difference the writes are: a guest whose other processor is busy is stopped by its host more often.
void compare_tails(Report& report, const Options& cache, Load load) {
    struct Case {
        const char* name;
        std::uint32_t writers;
        bool only_wait;
        std::vector<double> tails{};
        LatencyHistogram times{};
    };
    std::array<Case, 3> cases{
        {{"alone", 0, false}, {"beside one that only waits", 1, true}, {"beside a writer", 1, false}}};
    for (std::size_t round = 0; round < report.effort().rounds; ++round)
        for (Case& one : cases) {
            load.writers = one.writers;
            load.writers_only_wait = one.only_wait;
            const Reading reading = read_under(cache, load);
            one.tails.push_back(static_cast<double>(reading.times.quantile(0.999)));
            one.times.add(reading.times);
        }
    const std::string load_name = fmt::format("1 reader, {}", name_of(load.distribution));
    for (const Case& one : cases) {
        report.add({"tail", fmt::format("{}, p99.9", one.name), load.value_bytes, load_name, "ns", one.tails,
                    quantiles_of(one.times)});
        report.note(fmt::format("{}: p99.9 {:.0f} ns", one.name, median(one.tails)));
    }
    const auto ratios = [&](const Case& below) {
        std::vector<double> all;
        for (std::size_t round = 0; round < below.tails.size(); ++round)
            all.push_back(cases[2].tails[round] / below.tails[round]);
        return all;
    };
    const std::vector<double> without = ratios(cases[0]);
    report.judge("S6", {fmt::format("p99.9 beside a writer of 10,000/s / alone, {}, {}", bytes_text(load.value_bytes),
                                    name_of(load.distribution)),
                        "x",
                        {"<=", 1.3},
                        median(without),
                        without,
                        cases[2].times.count()});
    report.note(fmt::format("what its writes have in that: {:.2f} x one that only waits", median(ratios(cases[1]))));
}

/// How it looks with more readers than processors, too.
void tell_of_many(Report& report, ScopedCache& cache, Load load) {
    load.read_every_ns = 100'000;
    const auto tell = [&](const char* beside) {
        const Reading reading = read_under(cache.options(), load);
        if (load.writer_is_stopped) fill(*cache, kKeys, load.value_bytes);  // what the writer's death has cost
        const Quantiles times = quantiles_of(reading.times);
        report.add({"many",
                    "Larder, pinned",
                    load.value_bytes,
                    fmt::format("{} readers, {}", load.readers, beside),
                    "lookups/s",
                    {reading.lookups_per_second},
                    times});
        report.note(fmt::format("{} readers, {:<26} p50 {:.0f} ns, p99 {:.0f}, p99.9 {:.0f}; found nothing: {}",
                                load.readers, beside, times.p50_ns, times.p99_ns, times.p999_ns, reading.contended));
    };
    for (const std::uint32_t readers : {1u, 2u, 4u, 8u}) {
        load.readers = readers;
        load.writers = 0;
        load.writer_is_stopped = false;
        tell("nobody writes");
        load.writers = 1;
        tell("one writer, 10,000/s");
        load.writers = 0;
        load.writer_is_stopped = true;
        tell("a writer that stands still");
    }
}

/// As fast as they can, each lookup timed by itself.
void tell_of_throughput(Report& report, const Options& cache, Load load) {
    load.read_every_ns = 0;
    for (const std::uint32_t readers : {1u, 2u, 4u, 8u}) {
        load.readers = readers;
        const Reading reading = read_under(cache, load);
        report.add({"throughput",
                    "Larder, pinned",
                    load.value_bytes,
                    fmt::format("{} readers", readers),
                    "lookups/s",
                    {reading.lookups_per_second},
                    quantiles_of(reading.times)});
        report.note(fmt::format("{} readers, closed loop: {:.1f} million lookups/s, the clock's reading included",
                                readers, reading.lookups_per_second / 1e6));
    }
}

}  // namespace

void measure_tails(Report& report) {
    Load load;
    load.write_every_ns = kWriteEveryNs;
    load.time = report.effort().quick ? 500ms : 2'000ms;
    ScopedCache& cache = stage(load.value_bytes).scoped();
    for (const Distribution distribution : {Distribution::uniform, Distribution::zipf}) {
        load.distribution = distribution;
        compare_tails(report, cache.options(), load);
    }
    tell_of_many(report, cache, load);
    tell_of_throughput(report, cache.options(), load);
}

}  // namespace larder::bench
