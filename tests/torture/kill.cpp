// The kill torture: processes that share a cache while one of them after another is killed or stopped at random
// moments.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/harness.hpp"
#include "tests/support/quantile.hpp"
#include "tests/torture/kill_scene.hpp"
#include "tests/torture/nemesis.hpp"

namespace larder::torture {
namespace {

using test::kMs, test::quantile;

constexpr std::int64_t kReturnedNs = 1'000'000'000;  // R15

std::uint64_t late(const KillReport& report) {
    return static_cast<std::uint64_t>(std::count_if(report.returns_ns.begin(), report.returns_ns.end(),
                                                    [](std::int64_t ns) { return ns > kReturnedNs; }));
}

void print(const KillReport& report) {
    const auto percent = [&report](std::uint64_t n) {
        return 100.0 * static_cast<double>(n) / static_cast<double>(std::max<std::uint64_t>(report.deaths(), 1));
    };
    std::printf(
        "%lu SIGKILL, %lu SIGABRT, %lu SIGSTOP; known to have died inside a writing section %lu (%.1f %%), of "
        "them inside a rebuild %lu (%.1f %%)\n",
        report.kills, report.aborts, report.stops, report.inside, percent(report.inside), report.rebuilding,
        percent(report.rebuilding));
    std::printf("%lu operations, %lu values looked at, %lu shards rebuilt\n", report.operations, report.checked,
                report.rebuilds);
    std::printf(
        "what a survivor was doing at a kill, then a lookup and a put: p50 %.3f ms, p99 %.3f ms, max %.3f ms (%zu "
        "samples)\n",
        quantile(report.answers_ns, 0.5, kMs), quantile(report.answers_ns, 0.99, kMs),
        quantile(report.answers_ns, 1, kMs), report.answers_ns.size());
    std::printf(
        "from a kill until slot, pins and leases are seen to be back: p50 %.1f ms, p99 %.1f ms, max %.1f ms "
        "(%zu samples, %lu of them after 1 s)\n",
        quantile(report.returns_ns, 0.5, kMs), quantile(report.returns_ns, 0.99, kMs),
        quantile(report.returns_ns, 1, kMs), report.returns_ns.size(), late(report));
}

struct Settings {
    std::uint64_t kills = 2000, seed = 1, seconds = 600;
    std::string promises;

    std::string command() const {
        return "build/release/tests/larder_torture --kills " + std::to_string(kills) + " --seconds " +
               std::to_string(seconds) + " --seed " + std::to_string(seed);
    }
};

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
    if (report.deaths() < settings.kills && (report.failure.empty() || report.broken == "aim"))
        std::printf("cut short by --seconds %lu, after %lu of %lu deaths\n", settings.seconds, report.deaths(),
                    settings.kills);
    if (!settings.promises.empty())
        test::append_promises(
            settings.promises,
            {report.broken, report.answers_ns, report.deaths(), report.checked, report.returns_ns.size(), late(report)},
            settings.command());
    if (report.failure.empty()) {
        // The rule of three: what did not happen in n tries happens in fewer than 3/n of them, with 95 % confidence.
        std::printf("nobody else was hurt by %lu deaths: with 95 %% confidence fewer than %.2g of all hurt somebody\n",
                    report.deaths(), 3.0 / static_cast<double>(std::max<std::uint64_t>(report.deaths(), 3)));
        return 0;
    }
    std::printf("FAILED (%s): %s\nagain: %s\n", report.broken.c_str(), report.failure.c_str(),
                settings.command().c_str());
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
    return larder::test::run_harness(settings.command(), [&] { return larder::torture::torture(settings); });
}
