// The kill torture: processes that share a cache while one of them after another is killed or stopped at random
// moments.
#include <sys/resource.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "shm/inspector.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/torture/kill_actor.hpp"
#include "tests/torture/nemesis.hpp"

namespace larder::torture {
namespace {

constexpr double kMs = 1e6;

Options cache_options(const std::string& directory) {
    Options options;
    options.directory = directory;
    options.size_bytes = 64ULL << 20;
    options.shards = kShards;
    options.expected_entries = 2 * kKeys;
    options.max_entries = kKeys * 3 / 4;  // so that there are evictions
    options.tracked_keys = 1024;
    return options;
}

pid_t start_actor(std::uint32_t number, const Options& options, const shm::SegmentView& view, KillWorld& world,
                  std::uint64_t seed) {
    return test::fork_to([&] { return KillActor(Cache::open(options), view, world, number, seed).live(); });
}

/// What is left when all have ended: everything is erased, and the memory is back.
std::string leftovers(const Options& options, const shm::SegmentView& view, std::uint64_t fresh_bytes) {
    Cache cache = Cache::open(options);
    for (std::uint32_t n = 0; n < kKeys; ++n) cache.erase(key_of(n));
    for (int i = 0; i < 300; ++i) cache.tend();
    const shm::Gauges gauges = shm::read_gauges(view);
    if (gauges.entries != 0) return std::to_string(gauges.entries) + " entries are left";
    if (gauges.arena_used_bytes != fresh_bytes)
        return std::to_string(gauges.arena_used_bytes - fresh_bytes) + " bytes leaked";
    return test::first_violation(view);
}

double quantile_ms(std::vector<std::int64_t>& sorted, double q) {
    if (sorted.empty()) return 0;
    return static_cast<double>(sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))]) / kMs;
}

void print(KillReport& report) {
    std::sort(report.answers_ns.begin(), report.answers_ns.end());
    std::printf(
        "%lu SIGKILL, %lu SIGABRT, %lu SIGSTOP; known to have died inside a section %lu, inside a rebuild %lu\n",
        report.kills, report.aborts, report.stops, report.inside, report.rebuilding);
    std::printf("%lu operations, %lu shards rebuilt\n", report.operations, report.rebuilds);
    std::printf("a lookup and a put of a survivor after a kill: p50 %.3f ms, p99 %.3f ms, max %.3f ms (%zu samples)\n",
                quantile_ms(report.answers_ns, 0.5), quantile_ms(report.answers_ns, 0.99),
                quantile_ms(report.answers_ns, 1), report.answers_ns.size());
    std::printf("slowest giving back of a dead process's slot: %.1f ms\n",
                static_cast<double>(report.slowest_cleaning_ns) / kMs);
}

struct Settings {
    std::uint64_t kills = 2000, seed = 1, seconds = 600;
    std::string promises;
};

/// R1 to R3 and R15, as far as kills can tell.
void keep_promises(const Settings& settings, KillReport& report) {
    if (settings.promises.empty()) return;
    const std::string command = "build/release/tests/larder_torture --kills " + std::to_string(settings.kills) +
                                " --seed " + std::to_string(settings.seed);
    const double p99_ms = report.broken == "R1" ? 10'000 : quantile_ms(report.answers_ns, 0.99);
    append_promise(settings.promises, {"R1", "ms", {"<=", 10}, p99_ms, report.answers_ns.size(), {p99_ms}, command});
    for (const char* const name : {"R2", "R3", "R15"}) {
        const double violations = report.broken == name ? 1 : 0;
        append_promise(
            settings.promises,
            {name, "violations", {"==", 0}, violations, report.kills + report.aborts, {violations}, command});
    }
}

int torture(const Settings& settings) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    const test::ScopedDirectory directory;
    const Options options = cache_options(directory.path());
    KillWorld world;
    // The nemesis only looks; what makes and fills the segment are processes of their own.
    const shm::Location location = shm::locate(directory.path(), options.name, true);
    const pid_t maker = test::fork_to([&] { return Cache::open(options).tend(), 0; });
    ::waitpid(maker, nullptr, 0);
    const shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
    const shm::SegmentView& view = segment.view();
    const std::uint64_t fresh_bytes = shm::read_gauges(view).arena_used_bytes;

    std::uint64_t next_seed = settings.seed;
    Nemesis nemesis(
        view, world, [&](std::uint32_t n) { return start_actor(n, options, view, world, next_seed++ * 7919); },
        settings.seed);
    KillReport report = nemesis.run(settings.kills, std::chrono::seconds(settings.seconds));
    if (report.failure.empty()) {
        report.broken = "R15";
        report.failure = leftovers(options, view, fresh_bytes);
    }
    if (report.failure.empty()) report.broken.clear();
    print(report);
    keep_promises(settings, report);
    if (report.failure.empty()) return std::printf("nobody else was hurt\n"), 0;
    std::printf("FAILED (%s): %s\nagain: larder_torture --kills %lu --seed %lu\n", report.broken.c_str(),
                report.failure.c_str(), settings.kills, settings.seed);
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
