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
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::uint64_t kLinesPerHeader = 20;  // where output is no terminal, whose height it would be
constexpr std::uint64_t kLeastLinesPerHeader = 5;
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

/// Asked anew for each line: a terminal's size may change.
std::uint64_t lines_per_header() {
    const std::uint64_t rows = terminal_rows(1);
    return rows == 0 ? kLinesPerHeader : std::max(kLeastLinesPerHeader, rows - std::min<std::uint64_t>(rows, 2));
}

/// As vmstat does: a header each screenful, and the first line is the mean since there is something to count. JSON is
/// for programs, which want intervals alone.
class RateLines {
public:
    explicit RateLines(const Arguments& arguments) : arguments_(arguments) {}

    /// The mean since the cache was made.
    void begin(const Inspection& inspection, const Sample& now) {
        if (arguments_.json) return;
        const std::int64_t now_ns = segment_now_ns();
        print(rates_title(inspection, now_ns, arguments_.watch));
        add(birth_sample(inspection.view(), now_ns), now);
    }
    void add(const Sample& from, const Sample& to) {
        ++lines_;
        if (arguments_.json) return print_json(rates_json(from, to));
        const bool header = since_header_ == 0 || since_header_ >= lines_per_header();
        since_header_ = header ? 1 : since_header_ + 1;
        print((header ? rates_header() : std::string()) + rates_line(from, to));
    }
    bool is_complete() const { return arguments_.count != 0 && lines_ >= arguments_.count; }

private:
    const Arguments& arguments_;
    std::uint64_t lines_ = 0, since_header_ = 0;
};

/// Looks at the name anew each time: the cache may be removed or replaced meanwhile.
int watch(const Arguments& arguments) {
    StopSignals signals;
    RateLines lines(arguments);
    const Inspection first = inspect(arguments.cache);
    Sample last = take_sample(first.view());
    lines.begin(first, last);
    while (!lines.is_complete() && !signals.wait(std::max(arguments.watch, kShortestInterval))) {
        const Sample now = take_sample(inspect(arguments.cache).view());
        lines.add(last, now);
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
    add_duration(*verb, "--watch", arguments->watch,
                 "A line of rates each so often, until Ctrl-C; the first is the mean since the cache was made (not "
                 "with --json)");
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
