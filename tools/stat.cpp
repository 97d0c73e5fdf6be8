// larder stat: counters with what they mean, geometry, processes; with --watch a line of rates each interval.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/stat_report.hpp"
#include "tools/stop_signals.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::uint64_t kLinesPerHeader = 20;
constexpr std::chrono::milliseconds kShortestInterval{10};

struct Arguments {
    Options cache;
    std::chrono::milliseconds watch{0};  ///< 0: once
    std::uint64_t count = 0;             ///< lines of --watch; 0: no end
    bool shards = false, json = false;
};

int show_once(const Arguments& arguments) {
    const Inspection inspection = inspect(arguments.cache);
    if (arguments.json)
        print_json(stat_json(inspection, segment_now_ns()));
    else
        print(stat_text(inspection, segment_now_ns(), arguments.shards));
    return kOk;
}

/// Looks at the name anew each time: the cache may be removed or replaced meanwhile.
int watch(const Arguments& arguments) {
    StopSignals signals;
    Sample last = take_sample(inspect(arguments.cache));
    for (std::uint64_t line = 0; arguments.count == 0 || line < arguments.count; ++line) {
        if (signals.wait(std::max(arguments.watch, kShortestInterval))) break;
        const Sample now = take_sample(inspect(arguments.cache));
        if (arguments.json)
            print_json(rates_json(last, now));
        else
            print((line % kLinesPerHeader == 0 ? rates_header() : std::string()) + rates_line(last, now));
        last = now;
    }
    return kOk;
}

int run(const Arguments& arguments) { return arguments.watch.count() == 0 ? show_once(arguments) : watch(arguments); }

}  // namespace

void add_stat(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("stat", "Counters with their meaning, sizes, processes");
    add_selection(*verb, arguments->cache);
    add_duration(*verb, "--watch", arguments->watch, "A line of rates each so often, until Ctrl-C");
    CLI::Option* const count = add_count(*verb, "--count", arguments->count, "End --watch after so many lines");
    verb->add_flag("--shards", arguments->shards, "A line for each shard, too; not with --json or --watch");
    verb->add_flag(
        "--json", arguments->json,
        "{name, path, socket, layout, size_bytes, shards, entries, payload_bytes, counters, processes, ...}");
    verb->callback([&action, arguments, count] {
        if (count->count() != 0 && arguments->count == 0)
            throw CLI::ValidationError("--count", "give at least one line");
        if (count->count() != 0 && arguments->watch.count() == 0)
            throw CLI::ValidationError("--count", "it ends --watch; give --watch DURATION, too");
        if (arguments->shards && (arguments->json || arguments->watch.count() != 0))
            throw CLI::ValidationError("--shards",
                                       "it adds a table to the text of one look; leave out --json and --watch");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
