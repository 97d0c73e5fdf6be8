// The kill torture: processes that share a cache while one of them after another is killed or stopped at random
// moments.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/support/quantile.hpp"
#include "tests/torture/kill_scene.hpp"
#include "tests/torture/nemesis.hpp"

namespace larder::torture {
namespace {

using test::kMs, test::quantile;

constexpr std::int64_t kReturnedNs = 1'000'000'000;  // R15

void print(const KillReport& report) {
    const auto percent = [&report](std::uint64_t n) {
        return 100.0 * static_cast<double>(n) / static_cast<double>(std::max<std::uint64_t>(report.deaths(), 1));
    };
    std::printf(
        "%lu SIGKILL, %lu SIGABRT, %lu SIGSTOP; known to have died inside a writing section %lu (%.1f %%), of "
        "them inside a rebuild %lu (%.1f %%)\n",
        report.kills, report.aborts, report.stops, report.inside, percent(report.inside), report.rebuilding,
        percent(report.rebuilding));
    std::printf("%lu operations, %lu shards rebuilt\n", report.operations, report.rebuilds);
    std::printf("a lookup and a put of a survivor after a kill: p50 %.3f ms, p99 %.3f ms, max %.3f ms (%zu samples)\n",
                quantile(report.answers_ns, 0.5, kMs), quantile(report.answers_ns, 0.99, kMs),
                quantile(report.answers_ns, 1, kMs), report.answers_ns.size());
    std::printf("from a kill until slot, pins and leases are seen to be back: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
                quantile(report.returns_ns, 0.5, kMs), quantile(report.returns_ns, 0.99, kMs),
                quantile(report.returns_ns, 1, kMs));
}

struct Settings {
    std::uint64_t kills = 2000, seed = 1, seconds = 600;
    std::string promises;
};

/// R1 to R3 and R15, as far as kills can tell.
void keep_promises(const Settings& settings, const KillReport& report) {
    if (settings.promises.empty()) return;
    const std::string command = "build/release/tests/larder_torture --kills " + std::to_string(settings.kills) +
                                " --seconds " + std::to_string(settings.seconds) + " --seed " +
                                std::to_string(settings.seed);
    const double p99_ms = report.broken == "R1" ? 10'000 : quantile(report.answers_ns, 0.99, kMs);
    append_promise(settings.promises, {"R1", "ms", {"<=", 10}, p99_ms, report.answers_ns.size(), {p99_ms}, command});
    const auto late = static_cast<double>(std::count_if(report.returns_ns.begin(), report.returns_ns.end(),
                                                        [](std::int64_t ns) { return ns > kReturnedNs; }));
    for (const std::string name : {"R2", "R3", "R15"}) {
        const double violations = (report.broken == name ? 1 : 0) + (name == "R15" ? late : 0);
        append_promise(settings.promises,
                       {name, "violations", {"==", 0}, violations, report.deaths(), {violations}, command});
    }
}

int torture(const Settings& settings) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    KillScene scene;
    std::uint64_t next_seed = settings.seed;
    Nemesis nemesis(
        scene.view(), scene.world(), [&](std::uint32_t n) { return scene.start_actor(n, next_seed++ * 7919); },
        settings.seed);
    KillReport report = nemesis.run(settings.kills, std::chrono::seconds(settings.seconds));
    if (report.failure.empty()) {
        report.broken = "R15";
        report.failure = scene.leftovers();
    }
    if (report.failure.empty()) report.broken.clear();
    print(report);
    if (report.failure.empty() && report.deaths() < settings.kills)
        std::printf("cut short by --seconds %lu, after %lu of %lu deaths\n", settings.seconds, report.deaths(),
                    settings.kills);
    keep_promises(settings, report);
    if (report.failure.empty()) {
        // The rule of three: what did not happen in n tries happens in fewer than 3/n of them, with 95 % confidence.
        std::printf("nobody else was hurt by %lu deaths: with 95 %% confidence fewer than %.2g of all hurt somebody\n",
                    report.deaths(), 3.0 / static_cast<double>(std::max<std::uint64_t>(report.deaths(), 3)));
        return 0;
    }
    std::printf("FAILED (%s): %s\nagain: build/release/tests/larder_torture --kills %lu --seconds %lu --seed %lu\n",
                report.broken.c_str(), report.failure.c_str(), settings.kills, settings.seconds, settings.seed);
    return 1;
}

}  // namespace
}  // namespace larder::torture

int main(int argc, char** argv) {
    CLI::App program("Kills processes that share a cache, and checks that nobody else is hurt");
    larder::torture::Settings settings;
    program.add_option("--kills", settings.kills, "How many die")->capture_default_str();
    program.add_option("--seed", settings.seed, "Of all random choices but the moment")->capture_default_str();
    program.add_option("--seconds", settings.seconds, "At most so long")->capture_default_str();
    program.add_option("--promises", settings.promises, "Append R1, R2, R3 and R15 to this file");
    CLI11_PARSE(program, argc, argv);
    return larder::torture::torture(settings);
}
