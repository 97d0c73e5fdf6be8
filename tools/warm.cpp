// larder warm: fills the cache before anybody asks.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/cache_keys.hpp"
#include "core/submission_source.hpp"
#include "core/warm_queue.hpp"
#include "core/warm_runner.hpp"
#include "tools/database_option.hpp"
#include "tools/document_options.hpp"
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
constexpr int most_unread = 60;    // looks in a row, of a second at most each, that found the queue locked
constexpr int patient_looks = 10;  // where a service runs, which would take the job

struct Arguments {
    Options cache;
    std::vector<std::int64_t> ids;
    UserId teacher = 0;
    milliseconds active{0};
    bool all = false, detach = false, json = false;
    std::uint64_t batch_size = 10;
    WarmJobId job = 0;
    DatabaseOption database;
    DocumentOptions documents;
};

std::vector<AssignmentId> chosen(const Arguments& arguments, AssignmentStatsCache& stats) {
    if (arguments.all) return stats.all_ids();
    if (arguments.active.count() != 0) return stats.active_ids(arguments.active);
    return arguments.ids;
}

std::size_t done_at_once(const WarmResult& result) { return result.warmed + result.failed; }

/// What was done at once, and the job that the rest became, whoever ran it.
WarmResult together(WarmResult result, const WarmJob& job) {
    result.total = done_at_once(result) + job.total;
    result.warmed += job.warmed;
    result.failed += job.failed;
    result.async_scheduled = true;
    result.job_id = job.id;
    result.duration += job.duration;
    return result;
}

WarmJob require_job(WarmQueue& queue, WarmJobId id) {
    if (const std::optional<WarmJob> job = queue.find(id)) return *job;
    throw Refusal(kNegative, fmt::format("there is no job {} of this cache", id));
}

/// A job on its way to the end.
struct Follower {
    WarmQueue& queue;
    WarmRunner& runner;
    int patient_looks;  // at a job that does not move, before it is run here

    /// Until its end, or until somebody wants to go.
    WarmJob follow(WarmJobId id) {
        StopSignals stop;
        WarmJob job = watch(id, stop);
        int quiet = 0, unread = 0;
        if (job.state != WarmJob::State::done) look(job, quiet, unread);  // what was running here has ended by now
        if (job.state == WarmJob::State::done) return job;
        throw Refusal(kFailure, fmt::format("job {} is left with {} of {} done: a service goes on with it, or `larder "
                                            "warm --job {}`",
                                            id, job.done, job.total, id));
    }

private:
    /// The last that is known of it. The runner gives its turn back when this returns.
    WarmJob watch(WarmJobId id, StopSignals& stop) {
        Progress progress(fmt::format("Warming (job {})", id));
        std::jthread running;
        WarmJob job{.id = id};
        int quiet = -1, unread = 0;
        for (look(job, quiet, unread); job.state != WarmJob::State::done; look(job, quiet, unread)) {
            if (quiet >= patient_looks && !running.joinable())
                running = std::jthread([this](const std::stop_token& token) { runner.run(token); });
            progress.show(job.done, job.total);
            if (stop.wait(look_interval)) break;
        }
        return job;
    }
    /// A queue that is locked, by a writer or by what is being read, says nothing new.
    void look(WarmJob& job, int& quiet, int& unread) {
        try {
            const std::size_t seen = std::exchange(job, require_job(queue, job.id)).done;
            quiet = job.done == seen ? quiet + 1 : 0;
            unread = 0;
        } catch (const SourceError& error) {
            if (++unread < most_unread) return;
            throw Refusal(kFailure,
                          fmt::format("{}; job {} is left: a service goes on with it, or `larder warm --job {}`",
                                      error.what(), job.id, job.id));
        }
    }
};

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
    const std::size_t of_job = result.total - done_at_once(result);
    print(json ? to_json(result) + "\n" : fmt::format("job {}: {} assignments\n", *result.job_id, of_job));
    return kOk;
}

void check(const Arguments& arguments) {
    const int choices = !arguments.ids.empty() + (arguments.teacher != 0) + (arguments.active.count() != 0) +
                        arguments.all + (arguments.job != 0);
    if (choices != 1) throw CLI::ValidationError("warm", "name one thing: IDs, --teacher, --active, --all or --job");
    if (arguments.batch_size < 1 || arguments.batch_size > WarmQueue::max_batch_size)
        throw CLI::ValidationError("--batch-size",
                                   fmt::format("`{}` is too few or too many: write a number from 1 to {}",
                                               arguments.batch_size, WarmQueue::max_batch_size));
}

int run(const Arguments& arguments) {
    const Log log{LogLevel::debug, log_line};
    arguments.database.check();  // a database that cannot be read makes no cache
    Options options = arguments.cache;
    options.identity = arguments.database.identity();
    StatsCacheOptions documents = arguments.documents.parsed(options.ttl);
    documents.log = log;
    arguments.database.serve(documents, options.identity);
    const Cache cache = Cache::open(options);
    WarmQueue queue(warm_queue_file(*arguments.database.database(), cache.segment_path()), cache.segment_path());
    documents.warm_queue = &queue;
    AssignmentStatsCache stats(cache, arguments.database.sources(), documents);
    WarmRunner runner(
        queue, [&stats](AssignmentId id) { return stats.warm_one(id); }, log, WarmRunner::default_threads,
        [&cache](AssignmentId id) { return cache.contains(stats_key(id)); });
    const bool is_served = somebody_relays(cache);
    Follower follower{queue, runner, is_served ? patient_looks : 0};
    if (arguments.job != 0) return show(together({}, follower.follow(arguments.job)), arguments.json);

    if (!is_served) relay_once(*arguments.database.database(), stats.notices(), log);
    const WarmResult result = arguments.teacher != 0 ? stats.warm_teacher(arguments.teacher, arguments.batch_size)
                                                     : stats.warm(chosen(arguments, stats), arguments.batch_size);
    if (result.refused) throw Refusal(kFailure, "the queue of warming jobs is full; try again when some have ended");
    if (!result.async_scheduled) return show(result, arguments.json);
    if (arguments.detach) return show_scheduled(result, arguments.json);
    return show(together(result, follower.follow(*result.job_id)), arguments.json);
}

}  // namespace

void add_warm(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "warm";
    arguments->cache.log = log_line;
    CLI::App* const verb = program.add_subcommand("warm", "Compute what is missing in the cache before anybody asks");
    add_cache_options(*verb, arguments->cache);
    arguments->database.add_to(*verb);
    arguments->documents.add_to(*verb);
    require_ids(verb->add_option("ID", arguments->ids, "These assignments"));
    require_ids(verb->add_option("--teacher", arguments->teacher, "The 10 most recently created of this author"))
        ->type_name("ID");
    add_duration(*verb, "--active", arguments->active,
                 "Those asked for within 24 hours, or with a submission handed in or graded within this time");
    verb->add_flag("--all", arguments->all, "All of them");
    require_ids(verb->add_option("--job", arguments->job, "Follow a job of this cache that was made before"))
        ->type_name("ID");
    add_count(*verb, "--batch-size", arguments->batch_size,
              fmt::format("Assignments in a turn of a job, at most {} [default: 10]", WarmQueue::max_batch_size));
    verb->add_flag("--detach", arguments->detach, "Do not wait for a job's end: print its number");
    verb->add_flag("--json", arguments->json, "{total, warmed, failed, async_scheduled, duration_seconds}");
    verb->footer(
        "What takes at most 2 seconds is done at once. The rest becomes a job in the database, which a service works\n"
        "at; where none runs, this command does. Exit code 1: one of them failed, which stops no other.");
    verb->callback([&action, arguments] {
        check(*arguments);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
