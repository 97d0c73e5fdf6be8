// WarmRunner: works at the jobs of a WarmQueue, a turn at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "core/log.hpp"
#include "core/warm_queue.hpp"
#include "core/warmer.hpp"

namespace larder {

/// At most `threads` assignments are computed at a time. Killed or stopped at any point, it leaves its turn to another
/// runner. Threads: one. Fork: make it after the fork.
class WarmRunner {
public:
    static constexpr std::chrono::milliseconds poll_interval{200};
    static constexpr std::chrono::milliseconds report_interval{250};
    static constexpr std::size_t default_threads = 2;

    /// Whether what was warmed is in the cache.
    using IsKept = std::function<bool(AssignmentId)>;

    /// The queue outlives the runner. With `is_kept` the log says, too, when much of a job is gone at its end.
    WarmRunner(WarmQueue& queue, WarmOne warm_one, Log log, std::size_t threads = default_threads, IsKept is_kept = {});

    /// One turn of whichever job it is whose turn it is; false: nothing to do. A stop ends it after the assignments
    /// that are being computed, and gives the turn back. Throws SourceError.
    bool step(const std::stop_token& stop = {});

    /// Steps until stopped; after an error it says so once and tries again.
    void run(const std::stop_token& stop);

private:
    struct Outcome;
    Outcome work(const WarmTurn& turn, const std::stop_token& stop);
    void finish(const WarmTurn& turn, const Outcome& outcome);
    void log_end(const WarmJob& job, std::size_t kept);

    WarmQueue& queue_;
    const WarmOne warm_one_;
    const Log log_;
    const std::size_t threads_;
    const IsKept is_kept_;
    const std::int64_t number_;  // at random
};

}  // namespace larder
