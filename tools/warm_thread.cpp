#include "tools/warm_thread.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <vector>

namespace larder::tools {
namespace {

constexpr std::size_t batch_size = 10;
// The wall clock may be set while one sleeps: so it is looked at.
constexpr std::chrono::seconds look_interval{1};

std::shared_ptr<AssignmentStatsCache> stats_of(const ServeConfig& config, Cache cache) {
    return std::make_shared<AssignmentStatsCache>(std::move(cache), config.database.sources(), config.stats_options());
}

}  // namespace

WarmThread::WarmThread(const ServeConfig& config, Cache cache)
    : queue_(config.database.path(), cache.segment_path()),
      stats_(stats_of(config, std::move(cache))),
      runner_(
          queue_, [this](AssignmentId id) { return stats()->warm_one(id); }, core_log()),
      daily_(config.warm_daily),
      running_([this](const std::stop_token& stop) { runner_.run(stop); }) {
    if (daily_) waiting_ = std::jthread([this](const std::stop_token& stop) { run_daily(stop); });
}

void WarmThread::reload(const ServeConfig& config, Cache cache) {
    auto fresh = stats_of(config, std::move(cache));
    const std::lock_guard lock(mutex_);
    stats_.swap(fresh);
}

std::shared_ptr<AssignmentStatsCache> WarmThread::stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
}

void WarmThread::push(std::span<const AssignmentId> ids, const char* why) {
    if (ids.empty()) return;
    if (const auto job = queue_.push(ids, batch_size))
        spdlog::info("Warming {} assignments ({}): job {}", ids.size(), why, *job);
    else
        spdlog::error("Warming {} assignments ({}) refused: the queue is full", ids.size(), why);
}

void WarmThread::warm_published(std::span<const AssignmentId> ids) noexcept {
    try {
        push(ids, "published");
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
    }
}

void WarmThread::warm_active() noexcept {
    try {
        push(stats()->active_ids(active_period), "once a day");
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
    }
}

void WarmThread::run_daily(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::time_t due = daily_->next_after(std::time(nullptr));
    while (!stop.stop_requested()) {
        if (const std::time_t now = std::time(nullptr); now >= due) {
            warm_active();
            due = daily_->next_after(now);
        }
        std::unique_lock lock(mutex);
        stopped.wait_for(lock, stop, look_interval, [] { return false; });
    }
}

}  // namespace larder::tools
