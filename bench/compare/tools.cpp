// What a reader pays for tools that look on: its throughput on processor 0 with one running on processor 1, and
// without.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/readers.hpp"
#include "bench/rounds.hpp"
#include "bench/server_process.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kValueBytes = 1024;
constexpr std::uint32_t kWalks = 96, kQuickWalks = 16;  // of one round: a second, or a sixth of one

struct Tool {
    const char* name;
    std::string script;  // of a shell, with $larder and $selection
};

const std::vector<Tool> kTools = {
    {"nothing: what chance does", "exec sleep 1000"},
    {"stat --watch, each second", "exec $larder stat $selection --watch 1s"},
    // On a terminal that nobody looks at.
    {"top, each second", "exec script -qfec \"TERM=xterm exec $larder top $selection\" /dev/null"},
    {"dump, each second", "while kill -0 $PPID; do $larder dump $selection; sleep 1; done"},
    {"record, a hundred times a second", "exec $larder record $selection --output \"$directory/trace.csv\""},
};

void compare(Report& report, const Tool& tool, const Options& options, Readers& readers) {
    const std::string script =
        fmt::format("taskset -cp 1 $$; directory='{}' larder='{}' selection='--directory {} --cache {}'; {}",
                    options.directory, program_beside("larder"), options.directory, options.name, tool.script);
    const std::uint32_t walks = report.effort().quick ? kQuickWalks : kWalks;
    std::vector<double> without, with, costs;
    for (std::size_t pair = 0; pair < report.effort().pairs; ++pair) {
        const double before = readers.lookups_per_second(0b01, walks);
        {
            const ServerProcess running("/bin/sh", {"-c", script}, [] { return true; });
            with.push_back(readers.lookups_per_second(0b01, walks));
        }
        without.push_back((before + readers.lookups_per_second(0b01, walks)) / 2);
        costs.push_back(100 * (1 - with.back() / without.back()));
    }
    report.add({"tools", "alone", kValueBytes, tool.name, "lookups/s", without});
    report.add({"tools", "looked at", kValueBytes, tool.name, "lookups/s", with});
    report.add({"tools", "cost", kValueBytes, tool.name, "percent", costs});
    report.note(fmt::format("{}: {:.1f} million lookups/s, {:.1f} without; it costs {:+.1f} %", tool.name,
                            median(with) / 1e6, median(without) / 1e6, median(costs)));
}

}  // namespace

void measure_tools(Report& report) {
    if (::access(program_beside("larder").c_str(), X_OK) != 0) return report.note("larder is not built beside this");
    const Options& options = stage(kValueBytes).scoped().options();
    Readers readers(options, Distribution::zipf, kValueBytes);
    for (const Tool& tool : kTools) compare(report, tool, options, readers);
    std::error_code ignored;
    std::filesystem::remove(options.directory + "/trace.csv", ignored);
}

}  // namespace larder::bench
