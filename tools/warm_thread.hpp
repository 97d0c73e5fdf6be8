// WarmThread: the jobs of warming, run for as long as a service runs, and those that nobody asked for: once a day, and
// for what was published.
#pragma once

#include <condition_variable>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/assignment_stats_cache.hpp"
#include "core/warm_queue.hpp"
#include "core/warm_runner.hpp"
#include "shm/cache.hpp"
#include "tools/daily_time.hpp"
#include "tools/serve_config.hpp"

namespace larder::tools {

class WarmThread {
public:
    static constexpr std::chrono::hours active_period{24 * 7};     ///< what is warmed once a day
    static constexpr std::size_t max_published_waiting = 100'000;  ///< for the database to take them as a job

    WarmThread(const ServeConfig& config, Cache cache);
    /// Computes as another configuration says from now on, each assignment that has not begun; the time of day and what
    /// it works at stay.
    void reload(const ServeConfig& config, Cache cache);
    WarmThread(const WarmThread&) = delete;
    WarmThread& operator=(const WarmThread&) = delete;

    /// Makes a job of them as soon as the database can be written; waits for nothing. What goes wrong, and that too
    /// many wait already, is said in the log. Any thread.
    void warm_published(std::span<const AssignmentId> ids);

    /// Its threads end soon; the destructor waits for them.
    void request_stop() {
        running_.request_stop();
        making_jobs_.request_stop();
    }

private:
    void make_jobs(const std::stop_token& stop);
    void push_published();
    void push_active();
    /// False: the queue is full.
    bool push(std::span<const AssignmentId> ids, const char* why);

    std::shared_ptr<AssignmentStatsCache> stats();

    WarmQueue queue_;
    std::mutex mutex_;
    std::shared_ptr<AssignmentStatsCache> stats_;  // of the last reload
    std::condition_variable_any changed_;
    std::vector<AssignmentId> published_;  // no job yet
    WarmRunner runner_;
    const std::optional<DailyTime> daily_;
    std::time_t daily_due_ = 0;           // the second thread's
    std::jthread running_, making_jobs_;  // the last members: they end first
};

}  // namespace larder::tools
