#include "tools/warm_thread.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <exception>

#include "core/cache_keys.hpp"
#include "core/submission_source.hpp"

namespace larder::tools {
namespace {

constexpr std::size_t batch_size = 10;
// The wall clock may be set while one sleeps: so it is looked at. What went wrong waits as long.
constexpr std::chrono::seconds look_interval{1};

std::shared_ptr<AssignmentStatsCache> stats_of(const ServeConfig& config, Cache cache) {
    StatsCacheOptions documents = config.documents;
    config.database.serve(documents, config.cache.identity);
    return std::make_shared<AssignmentStatsCache>(std::move(cache), config.database.sources(), std::move(documents));
}

}  // namespace

WarmThread::WarmThread(const ServeConfig& config, Cache cache)
    : queue_(warm_queue_file(*config.database.database(), cache.segment_path()), cache.segment_path()),
      stats_(stats_of(config, cache)),
      runner_(
          queue_, [this](AssignmentId id) { return stats()->warm_one(id); }, core_log(), WarmRunner::default_threads,
          [cache](AssignmentId id) { return cache.contains(stats_key(id)); }),
      daily_(config.warm_daily),
      daily_due_(daily_ ? daily_->next_after(std::time(nullptr)) : 0),
      running_([this](const std::stop_token& stop) { runner_.run(stop); }),
      making_jobs_([this](const std::stop_token& stop) { make_jobs(stop); }) {}

void WarmThread::reload(const ServeConfig& config, Cache cache) {
    auto fresh = stats_of(config, std::move(cache));
    const std::lock_guard lock(mutex_);
    stats_.swap(fresh);
}

std::shared_ptr<AssignmentStatsCache> WarmThread::stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
}

void WarmThread::warm_published(std::span<const AssignmentId> ids) {
    const std::lock_guard lock(mutex_);
    const std::span<const AssignmentId> taken =
        ids.first(std::min(ids.size(), max_published_waiting - published_.size()));
    published_.insert(published_.end(), taken.begin(), taken.end());
    changed_.notify_all();
    if (taken.size() < ids.size())
        spdlog::error("Warming {} assignments (published) refused: {} wait for the queue in the database already",
                      ids.size() - taken.size(), published_.size());
}

/// Not the thread that tells of changes: a job may have to wait for the database's lock. What went wrong is tried
/// again.
void WarmThread::make_jobs(const std::stop_token& stop) {
    std::string last_error;
    while (!stop.stop_requested()) {
        try {
            push_published();
            if (daily_) push_active();
            last_error.clear();
        } catch (const std::exception& error) {
            if (last_error != error.what()) spdlog::error("Warming is put off: {}", error.what());
            last_error = error.what();
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, look_interval, [&] { return last_error.empty() && !published_.empty(); });
    }
    const std::lock_guard lock(mutex_);
    if (!published_.empty()) spdlog::warn("{} published assignments are not warmed", published_.size());
}

void WarmThread::push_published() {
    std::unique_lock lock(mutex_);
    const std::vector<AssignmentId> ids = published_;
    lock.unlock();
    if (!push(ids, "published")) throw SourceError("the queue is full");
    lock.lock();
    published_.erase(published_.begin(), published_.begin() + static_cast<std::ptrdiff_t>(ids.size()));
}

void WarmThread::push_active() {
    const std::time_t now = std::time(nullptr);
    if (now < daily_due_) return;
    const std::vector<AssignmentId> ids = stats()->active_ids(active_period);
    if (!push(ids, "once a day")) spdlog::error("Warming {} assignments refused: the queue is full", ids.size());
    daily_due_ = daily_->next_after(now);
}

bool WarmThread::push(std::span<const AssignmentId> ids, const char* why) {
    if (ids.empty()) return true;
    const std::optional<WarmJobId> job = queue_.push(ids, batch_size);
    if (job) spdlog::info("Warming {} assignments ({}): job {}", ids.size(), why, *job);
    return job.has_value();
}

}  // namespace larder::tools
