// larder stat: counters with what they mean, geometry, processes; with --watch a line of rates each interval.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "shm/cache.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
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

/// As vmstat does: a header each screenful, and the first line of a cache is the mean since there is something to
/// count. JSON is for programs, which want intervals alone: there it is told of the cache that replaced another, whose
/// work since it was made belongs to no interval.
class RateLines {
public:
    explicit RateLines(const Arguments& arguments) : arguments_(arguments) {}

    void add(const Inspection& inspection) {
        is_absent_ = false;
        const Sample now = take_sample(inspection.view());
        const bool is_another = last_ && last_->incarnation != now.incarnation;
        if (!last_ || is_another)
            begin(inspection, now, is_another);
        else
            print_line(*last_, now, false);
        last_ = now;
    }
    /// An interval without a cache; it is one of those that --count counts.
    void add_absence(const char* why) {
        ++lines_;
        if (!std::exchange(is_absent_, true)) complain(fmt::format("larder: {}; waiting for it\n", why));
    }
    bool is_absent() const { return is_absent_; }
    bool is_complete() const { return arguments_.count != 0 && lines_ >= arguments_.count; }

private:
    void begin(const Inspection& inspection, const Sample& now, bool is_another) {
        if (arguments_.json && !is_another) return;
        const std::int64_t now_ns = segment_now_ns();
        if (!arguments_.json) print(rates_title(inspection, now_ns, arguments_.watch));
        since_header_ = 0;
        print_line(birth_sample(inspection.view(), now_ns), now, is_another);
    }
    void print_line(const Sample& from, const Sample& to, bool is_another) {
        ++lines_;
        if (arguments_.json) return print_json(rates_json(from, to, is_another));
        const bool header = since_header_ == 0 || since_header_ >= lines_per_header();
        since_header_ = header ? 1 : since_header_ + 1;
        print((header ? rates_header() : std::string()) + rates_line(from, to));
    }

    const Arguments& arguments_;
    std::optional<Sample> last_;
    std::uint64_t lines_ = 0, since_header_ = 0;
    bool is_absent_ = false;
};

/// Looks at the name anew each time: the cache may be removed or replaced meanwhile. Throws as inspect() where there is
/// none at first.
int watch(const Arguments& arguments) {
    StopSignals signals;
    RateLines lines(arguments);
    lines.add(inspect(arguments.cache));
    while (!lines.is_complete() && !signals.wait(std::max(arguments.watch, kShortestInterval))) {
        try {
            lines.add(inspect(arguments.cache));
        } catch (const Refusal& refusal) {
            lines.add_absence(refusal.what());
        } catch (const OpenError& error) {
            lines.add_absence(error.what());  // it is being made, or removed
        }
    }
    return lines.is_absent() && lines.is_complete() ? kNegative : kOk;
}

int run(const Arguments& arguments) { return arguments.watch.count() == 0 ? show_once(arguments) : watch(arguments); }

}  // namespace

void add_stat(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("stat", "Counters with their meaning, sizes, processes");
    add_selection(*verb, arguments->cache);
    add_duration_or(std::chrono::seconds(1), *verb, "--watch", arguments->watch,
                    "A line of rates each so often (1s where nothing is said), until Ctrl-C; the first is the mean "
                    "since the cache was made (not with --json)");
    CLI::Option* const count = add_count(*verb, "--count", arguments->count, "End --watch after so many lines");
    verb->add_flag("--shards", arguments->shards, "A line for each shard, too; not with --json or --watch");
    verb->add_flag(
        "--json", arguments->json,
        "{name, path, socket, layout, size_bytes, shards, entries, payload_bytes, counters, processes, ...}");
    verb->callback([&action, arguments, count] {
        if (count->count() != 0 && arguments->count == 0)
            throw CLI::ValidationError("--count", "give at least one line");
        if (count->count() != 0 && arguments->watch.count() == 0)
            throw CLI::ValidationError("--count", "it ends --watch; give --watch, too");
        if (arguments->shards && (arguments->json || arguments->watch.count() != 0))
            throw CLI::ValidationError("--shards",
                                       "it adds a table to the text of one look; leave out --json and --watch");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
