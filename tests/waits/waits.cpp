// Who waits for whom, and how long: beside a writer that is stopped in its section, and beside a computation whose
// process is killed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/support/harness.hpp"
#include "tests/support/quantile.hpp"
#include "tests/waits/dead_holder.hpp"
#include "tests/waits/stopped_owner.hpp"

namespace larder::waits {
namespace {

// R5: by default a put waits 15 ms, so that a waiter is awake again within 20.
constexpr double kPutMs = 20, kNoticeUs = 1, kNeverMs = 10'000;
constexpr std::uint64_t kFewestRounds = 10;    // in which a crowd competes
constexpr std::int64_t kCrowdNs = 40'000'000;  // of the crowd, a round

struct Settings {
    std::uint64_t rounds = 50, seed = 1;
    std::string promises;

    std::string command() const {
        return "build/release/tests/larder_waits --rounds " + std::to_string(rounds) + " --seed " +
               std::to_string(seed);
    }
};

using test::kMs, test::kUs, test::quantile;

void print(const char* what, const std::vector<std::int64_t>& all, double unit_ns, const char* unit) {
    std::printf("%-44s p50 %9.3f, p99 %9.3f, max %9.3f %s (%zu samples)\n", what, quantile(all, 0.5, unit_ns),
                quantile(all, 0.99, unit_ns), quantile(all, 1, unit_ns), unit, all.size());
}

/// R5: the greater share that a put and an invalidation take of what each of them may.
double of_the_limit(const StoppedOwnerReport& beside) {
    return std::max(quantile(beside.puts_ns, 0.99, kMs) / kPutMs, quantile(beside.notices_ns, 0.5, kUs) / kNoticeUs);
}

/// Times go to the promises' file only: how long a wait takes is the machine's affair, too.
void keep_promises(const Settings& settings, const StoppedOwnerReport& beside,
                   const std::vector<std::int64_t>& takeovers_ns, const CrowdReport& people) {
    if (settings.promises.empty()) return;
    const auto append = [&](const char* name, const char* unit, Goal goal, double measured, std::size_t samples) {
        append_promise(settings.promises, {name, unit, goal, measured, samples, {measured}, settings.command()});
    };
    append("R4", "violations", {"==", 0}, static_cast<double>(beside.missed + beside.waited()), beside.gets_ns.size());
    const bool is_bounded = beside.astonishing == 0 && beside.blocked == 0;
    append("R5", "of the limit", {"<=", 1}, is_bounded ? of_the_limit(beside) : kNeverMs / kPutMs,
           beside.puts_ns.size());
    append("R10", "ms", {"<=", 20},
           people.competed && people.most_at_once == 1 ? quantile(takeovers_ns, 0.99, kMs) : kNeverMs,
           takeovers_ns.size());
}

int run(const Settings& settings) {
    const StoppedOwnerReport beside = stop_owners(settings.rounds);
    print("a hit on a stopped writer's shard", beside.gets_ns, kUs, "us");
    std::printf("%-44s     %lu of them over 5 ms, in %lu rounds of %lu\n", "", beside.slow_gets, beside.slow_rounds,
                beside.rounds);
    print("a put there, refused as busy", beside.puts_ns, kMs, "ms");
    print("a put on another shard", beside.elsewhere_ns, kUs, "us");
    print("an invalidation there", beside.notices_ns, kUs, "us");
    std::printf("%-44s     %9.3f of the limit: p99 of a put in %.0f ms, p50 of an invalidation in %.0f us\n",
                "R5, the greater of both", of_the_limit(beside), kPutMs, kNoticeUs);
    const std::vector<std::int64_t> takeovers_ns = kill_holders(settings.rounds, settings.seed);
    print("a dead holder replaced after", takeovers_ns, kMs, "ms");
    const CrowdReport people =
        crowd(static_cast<std::int64_t>(settings.rounds) * kCrowdNs, settings.rounds / 2, settings.seed);
    std::printf("%lu computations, %lu waits for another's; at most %lu of one key at once\n", people.computations,
                people.waits, people.most_at_once);

    keep_promises(settings, beside, takeovers_ns, people);
    if (beside.missed == 0 && beside.astonishing == 0 && beside.blocked == 0 && people.competed &&
        people.most_at_once == 1)
        return std::printf("nobody waited for the stopped and the dead\n"), 0;
    std::printf(
        "FAILED: %lu lookups of %zu missed, %lu puts ended otherwise, %lu puts and notices took over a second, "
        "%lu computations at once%s\nagain: %s\n",
        beside.missed, beside.gets_ns.size(), beside.astonishing, beside.blocked, people.most_at_once,
        people.competed ? "" : ", without competition", settings.command().c_str());
    return 1;
}

}  // namespace
}  // namespace larder::waits

int main(int argc, char** argv) {
    CLI::App program("Stops and kills processes, and measures how long others wait for them");
    program.footer(
        "R5 is a share of the limit: the greater of p99 of a put / 20 ms and p50 of an invalidation / 1 us.\n"
        "Exit code 1: somebody did what he must not; times are printed, and judged by tools/prove");
    larder::waits::Settings settings;
    program.add_option("--rounds", settings.rounds, "How often each")
        ->check(CLI::Range(larder::waits::kFewestRounds, std::uint64_t{1'000'000}))
        ->capture_default_str();
    program.add_option("--seed", settings.seed, "Of the moments")->capture_default_str();
    program.add_option("--promises", settings.promises, "Append R4, R5 and R10 to this file");
    CLI11_PARSE(program, argc, argv);
    return larder::test::run_harness(settings.command(), [&] { return larder::waits::run(settings); });
}
