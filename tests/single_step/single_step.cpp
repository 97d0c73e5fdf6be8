// Kills at every instruction: a process that works on a cache is run step by step and killed after k instructions; then
// a survivor looks at everything. --stride 1: at every instruction; --points: so many of each operation. The costs are
// the steps: n^2 / (2 * stride) of an operation of n instructions, some microseconds each.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/single_step/sweep.hpp"
#include "tests/support/harness.hpp"
#include "tests/support/quantile.hpp"

namespace larder::single_step {
namespace {

using test::kMs, test::quantile;

constexpr int kSkipped = 77;

struct Arguments {
    std::vector<std::string> operations;
    std::uint64_t offset = 0, stride = 0, points = 1'000;
    std::string promises;

    std::string command() const {
        std::string command = "build/release/tests/larder_single_step --offset " + std::to_string(offset);
        command += stride != 0 ? " --stride " + std::to_string(stride) : " --points " + std::to_string(points);
        for (const std::string& name : operations) command += " --operation " + name;
        return command;
    }
};

/// Of all sweeps.
struct Total {
    std::uint64_t kills = 0;
    std::vector<std::int64_t> answers_ns;
    std::string failure;
};

bool is_chosen(const Arguments& arguments, const char* name) {
    const std::vector<std::string>& names = arguments.operations;
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

void sweep(const Arguments& arguments, std::uint32_t number, Total& total) {
    const char* const name = operations()[number].name;
    SweepReport report = Sweep(number).run(arguments.offset, arguments.stride, arguments.points);
    total.kills += report.kills;
    total.answers_ns.insert(total.answers_ns.end(), report.answers_ns.begin(), report.answers_ns.end());
    std::printf("%-15s %12lu %8lu %8lu %8lu %8lu %10.3f\n", name, report.instructions, report.stride, report.kills,
                report.inside, report.broken, quantile(report.answers_ns, 0.99, kMs));
    std::fflush(stdout);
    if (report.failure.empty()) return;
    std::printf(
        "FAILED: %s\nagain: build/release/tests/larder_single_step --operation %s --offset %lu --stride 1000000000\n",
        report.failure.c_str(), name, report.failed_at);
    if (total.failure.empty()) total.failure = report.failure;
}

int run(const Arguments& arguments) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    if (!SteppedProcess::is_permitted()) return std::printf("SKIPPED: no process may be stepped here\n"), kSkipped;
    std::printf("%-15s %12s %8s %8s %8s %8s %10s\n", "operation", "instructions", "stride", "kills", "inside", "broken",
                "p99 ms");
    Total total;
    for (std::uint32_t number = 0; number < operations().size(); ++number)
        if (is_chosen(arguments, operations()[number].name)) sweep(arguments, number, total);
    if (!arguments.promises.empty())  // after each death the survivor looks at values and at what is left
        test::append_promises(
            arguments.promises,
            {total.failure.substr(0, total.failure.find(' ')), total.answers_ns, total.kills, total.kills, total.kills},
            arguments.command());
    if (!total.failure.empty()) return 1;
    std::printf("%lu kills, nobody else was hurt\n", total.kills);
    return 0;
}

}  // namespace
}  // namespace larder::single_step

int main(int argc, char** argv) {
    CLI::App program("Kills a process after each instruction of an operation, and checks that nobody else is hurt");
    larder::single_step::Arguments arguments;
    std::vector<std::string> names;
    for (const larder::single_step::Operation& one : larder::single_step::operations()) names.emplace_back(one.name);
    program.add_option("--operation", arguments.operations, "These alone")->check(CLI::IsMember(names));
    program.add_option("--offset", arguments.offset, "Instructions before the first kill")->capture_default_str();
    program.add_option("--stride", arguments.stride, "Instructions between two; 0: by --points")->capture_default_str();
    program.add_option("--points", arguments.points, "About so many kills of each operation")->capture_default_str();
    program.add_option("--promises", arguments.promises, "Append R1, R2, R3 and R15 to this file");
    CLI11_PARSE(program, argc, argv);
    if (arguments.points == 0) arguments.points = 1;
    return larder::test::run_harness(arguments.command(), [&] { return larder::single_step::run(arguments); });
}
