// larder warm: fills the cache before anybody asks.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/outbox_relay.hpp"
#include "core/warm_queue.hpp"
#include "core/warm_runner.hpp"
#include "tools/database_option.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/relay_thread.hpp"
#include "tools/standard_streams.hpp"
#include "tools/stop_signals.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{100};
constexpr int patient_looks = 10;  // at a job that nobody takes, before it is run here

struct Arguments {
    Options cache;
    std::vector<std::int64_t> ids;
    UserId teacher = 0;
    milliseconds active{0};
    bool all = false, detach = false, json = false;
    std::uint64_t batch_size = 10;
    WarmJobId job = 0;
    DatabaseOption database;
};

std::vector<AssignmentId> chosen(const Arguments& arguments, AssignmentStatsCache& stats) {
    if (arguments.all) return stats.all_ids();
    if (arguments.active.count() != 0) return stats.active_ids(arguments.active);
    return arguments.ids;
}

/// The job as a result, from whomever ran it.
WarmResult result_of(const WarmJob& job) {
    WarmResult result;
    result.total = job.total;
    result.warmed = job.warmed;
    result.failed = job.failed;
    result.async_scheduled = true;
    result.job_id = job.id;
    result.duration = job.duration;
    return result;
}

WarmJob require_job(WarmQueue& queue, WarmJobId id) {
    if (const std::optional<WarmJob> job = queue.find(id)) return *job;
    throw Refusal(kNegative, fmt::format("there is no job {} of this cache", id));
}

/// Until its end, or until somebody wants to go. A job that nobody works at, a service say, is run here.
WarmJob follow(WarmQueue& queue, WarmJobId id, WarmRunner& runner) {
    StopSignals stop;
    Progress progress(fmt::format("Warming (job {})", id));
    std::size_t seen = 0;
    for (int quiet = 0;;) {
        const WarmJob job = require_job(queue, id);
        progress.show(job.done, job.total);
        if (job.state == WarmJob::State::done) return job;
        quiet = job.done == seen ? quiet + 1 : 0;
        seen = job.done;
        if (quiet > patient_looks && runner.step()) continue;
        if (!stop.wait(look_interval)) continue;
        progress.clear();
        throw Refusal(kFailure, fmt::format("job {} is left with {} of {} done: a service goes on with it, or `larder "
                                            "warm --job {}`",
                                            id, job.done, job.total, id));
    }
}

int show(const WarmResult& result, bool json) {
    if (json) {
        print(to_json(result) + "\n");
    } else {
        const double seconds = std::chrono::duration<double>(result.duration).count();
        print(fmt::format("{} warmed, {} failed, {:.1f} s\n", result.warmed, result.failed, seconds));
    }
    return result.failed == 0 ? kOk : kNegative;
}

int show_scheduled(const WarmResult& result, bool json) {
    print(json ? to_json(result) + "\n" : fmt::format("job {}: {} assignments\n", *result.job_id, result.total));
    return kOk;
}

void require_one_choice(const Arguments& arguments) {
    const int choices = !arguments.ids.empty() + (arguments.teacher != 0) + (arguments.active.count() != 0) +
                        arguments.all + (arguments.job != 0);
    if (choices != 1) throw CLI::ValidationError("warm", "name one thing: IDs, --teacher, --active, --all or --job");
}

int run(const Arguments& arguments) {
    const Log log{LogLevel::debug, log_line};
    arguments.database.check();  // a database that cannot be read makes no cache
    Options options = arguments.cache;
    options.identity = arguments.database.identity();
    const Cache cache = Cache::open(options);
    WarmQueue queue(arguments.database.path(), cache.segment_path());
    AssignmentStatsCache stats(cache, arguments.database.sources(),
                               {.ttl = options.ttl, .log = log, .warm_queue = &queue});
    WarmRunner runner(
        queue, [&stats](AssignmentId id) { return stats.warm_one(id); }, log);
    if (arguments.job != 0) return show(result_of(follow(queue, arguments.job, runner)), arguments.json);

    if (!somebody_relays(cache)) relay_once(arguments.database.path(), stats.notices(), log);
    const WarmResult result = arguments.teacher != 0 ? stats.warm_teacher(arguments.teacher, arguments.batch_size)
                                                     : stats.warm(chosen(arguments, stats), arguments.batch_size);
    if (result.refused) throw Refusal(kFailure, "the queue of warming jobs is full; try again when some have ended");
    if (!result.async_scheduled) return show(result, arguments.json);
    if (arguments.detach) return show_scheduled(result, arguments.json);
    return show(result_of(follow(queue, *result.job_id, runner)), arguments.json);
}

}  // namespace

void add_warm(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "warm";
    arguments->cache.log = log_line;
    CLI::App* const verb = program.add_subcommand("warm", "Compute what is missing in the cache before anybody asks");
    add_cache_options(*verb, arguments->cache);
    arguments->database.add_to(*verb);
    verb->add_option("ID", arguments->ids, "These assignments");
    verb->add_option("--teacher", arguments->teacher, "The 10 most recently created of this author")
        ->type_name("ID")
        ->check(CLI::PositiveNumber);
    add_duration(*verb, "--active", arguments->active,
                 "Those asked for within 24 hours, or with a submission handed in or graded within this time");
    verb->add_flag("--all", arguments->all, "All of them");
    verb->add_option("--job", arguments->job, "Follow a job that was made before")
        ->type_name("ID")
        ->check(CLI::PositiveNumber);
    add_count(*verb, "--batch-size", arguments->batch_size, "Assignments in a turn of a job [default: 10]");
    verb->add_flag("--detach", arguments->detach, "Do not wait for a job's end: print its number");
    verb->add_flag("--json", arguments->json, "{total, warmed, failed, async_scheduled, duration_seconds}");
    verb->footer(
        "What takes at most 2 seconds by the measured times is done at once. The rest becomes a job in the database,\n"
        "which a running service works at; where none runs, this command does. Exit code 1: one of them failed.");
    verb->callback([&action, arguments] {
        require_one_choice(*arguments);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
