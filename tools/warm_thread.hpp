// WarmThread: the jobs of warming, run for as long as a service runs, and those that nobody asked for: once a day, and
// for what was published.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "core/assignment_stats_cache.hpp"
#include "core/warm_queue.hpp"
#include "core/warm_runner.hpp"
#include "shm/cache.hpp"
#include "tools/daily_time.hpp"
#include "tools/serve_config.hpp"

namespace larder::tools {

class WarmThread {
public:
    static constexpr std::chrono::hours active_period{24 * 7};  ///< what is warmed once a day

    WarmThread(const ServeConfig& config, Cache cache);
    /// Computes as another configuration says from now on, each assignment that has not begun; the time of day and what
    /// it works at stay.
    void reload(const ServeConfig& config, Cache cache);
    WarmThread(const WarmThread&) = delete;
    WarmThread& operator=(const WarmThread&) = delete;

    /// Makes a job of them. Any thread; what goes wrong is said in the log.
    void warm_published(std::span<const AssignmentId> ids) noexcept;

private:
    void run_daily(const std::stop_token& stop);
    void warm_active() noexcept;
    void push(std::span<const AssignmentId> ids, const char* why);

    std::shared_ptr<AssignmentStatsCache> stats();

    WarmQueue queue_;
    std::mutex mutex_;
    std::shared_ptr<AssignmentStatsCache> stats_;  // of the last reload
    WarmRunner runner_;
    const std::optional<DailyTime> daily_;
    std::jthread running_, waiting_;  // the last members: they end first
};

}  // namespace larder::tools
