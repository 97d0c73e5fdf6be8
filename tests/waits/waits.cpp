// Who waits for whom, and how long: beside a writer that is stopped in its section, and beside a computation whose
// process is killed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/support/quantile.hpp"
#include "tests/waits/dead_holder.hpp"
#include "tests/waits/stopped_owner.hpp"

namespace larder::waits {
namespace {

// The budget of a put is 20 ms; a waiter is awake again a moment after it.
constexpr double kPutMs = 21, kGetUs = 10, kNoticeUs = 1, kNeverMs = 10'000;
constexpr std::int64_t kCrowdNs = 40'000'000;  // of the crowd, a round

struct Settings {
    std::uint64_t rounds = 50, seed = 1;
    std::string promises;
};

using test::kMs, test::kUs, test::quantile;

void print(const char* what, const std::vector<std::int64_t>& all, double unit_ns, const char* unit) {
    std::printf("%-44s p50 %9.3f, p99 %9.3f, max %9.3f %s (%zu samples)\n", what, quantile(all, 0.5, unit_ns),
                quantile(all, 0.99, unit_ns), quantile(all, 1, unit_ns), unit, all.size());
}

/// Times go to the promises' file only: how long a wait takes is the machine's affair, too.
void keep_promises(const Settings& settings, const std::string& command, const StoppedOwnerReport& beside,
                   const std::vector<std::int64_t>& takeovers_ns, const CrowdReport& people) {
    if (settings.promises.empty()) return;
    const auto append = [&](const char* name, const char* unit, Goal goal, double measured, std::size_t samples) {
        append_promise(settings.promises,
                       {name, unit, goal, measured, samples, {measured}, "build/release/tests/" + command});
    };
    const bool reads = beside.missed == 0 && quantile(beside.gets_ns, 0.5, kUs) < kGetUs;
    const bool writes = beside.astonishing == 0 && quantile(beside.puts_ns, 0.5, kMs) <= kPutMs &&
                        quantile(beside.notices_ns, 0.5, kUs) < kNoticeUs;
    append("R4", "violations", {"==", 0}, reads ? 0 : 1, beside.gets_ns.size());
    append("R5", "violations", {"==", 0}, writes ? 0 : 1, beside.puts_ns.size());
    append("R10", "ms", {"<=", 20}, people.most_at_once == 1 ? quantile(takeovers_ns, 0.99, kMs) : kNeverMs,
           takeovers_ns.size());
}

int run(const Settings& settings) {
    const StoppedOwnerReport beside = stop_owners(settings.rounds);
    print("a hit on a stopped writer's shard", beside.gets_ns, kUs, "us");
    print("a put there, refused as busy", beside.puts_ns, kMs, "ms");
    print("a put on another shard", beside.elsewhere_ns, kUs, "us");
    print("an invalidation there", beside.notices_ns, kUs, "us");
    const std::vector<std::int64_t> takeovers_ns = kill_holders(settings.rounds, settings.seed);
    print("a dead holder replaced after", takeovers_ns, kMs, "ms");
    const CrowdReport people = crowd(static_cast<std::int64_t>(settings.rounds) * kCrowdNs, settings.seed);
    std::printf("%lu computations, %lu waits for another's; at most %lu of one key at once\n", people.computations,
                people.waits, people.most_at_once);

    const std::string command =
        "larder_waits --rounds " + std::to_string(settings.rounds) + " --seed " + std::to_string(settings.seed);
    keep_promises(settings, command, beside, takeovers_ns, people);
    if (beside.missed == 0 && beside.astonishing == 0 && people.most_at_once == 1)
        return std::printf("nobody waited for the stopped and the dead\n"), 0;
    std::printf("FAILED: %lu lookups of %zu missed, %lu puts ended otherwise, %lu computations at once\nagain: %s\n",
                beside.missed, beside.gets_ns.size(), beside.astonishing, people.most_at_once, command.c_str());
    return 1;
}

}  // namespace
}  // namespace larder::waits

int main(int argc, char** argv) try {
    CLI::App program("Stops and kills processes, and measures how long others wait for them");
    larder::waits::Settings settings;
    program.add_option("--rounds", settings.rounds, "How often each")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    program.add_option("--seed", settings.seed, "Of the moments")->capture_default_str();
    program.add_option("--promises", settings.promises, "Append R4, R5 and R10 to this file");
    CLI11_PARSE(program, argc, argv);
    return larder::waits::run(settings);
} catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
}
