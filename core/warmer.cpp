#include "core/warmer.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <thread>

#include "core/json_writer.hpp"
#include "core/submission_source.hpp"
#include "core/warm_queue.hpp"

namespace larder {
namespace {

struct Job {
    std::vector<AssignmentId> ids;
    std::size_t batch_size = 1, done = 0, warmed = 0;
    bool finished() const { return done == ids.size(); }
};

}  // namespace

std::string to_json(const WarmResult& result) {
    JsonWriter json;
    json.begin_object();
    json.field("total", static_cast<std::int64_t>(result.total))
        .field("warmed", static_cast<std::int64_t>(result.warmed));
    json.field("failed", static_cast<std::int64_t>(result.failed));
    json.key("async_scheduled").boolean(result.async_scheduled);
    if (result.job_id) json.field("job_id", *result.job_id);
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(result.duration).count();
    json.field("duration_seconds", Hundredths{round_half_even(milliseconds, 10)});
    json.end_object();
    return json.take();
}

WarmOutcome warm_quietly(const WarmOne& warm_one, const Log& log, AssignmentId id) {
    const auto say = [&](const std::exception& error) {
        log(LogLevel::error, "Warming assignment " + std::to_string(id) + " failed: " + error.what());
    };
    try {
        return warm_one(id) ? WarmOutcome::warmed : WarmOutcome::failed;
    } catch (const SourceUnavailable& error) {
        say(error);
        return WarmOutcome::unavailable;
    } catch (const std::exception& error) {
        say(error);
        return WarmOutcome::failed;
    }
}

void log_warming_complete(const Log& log, std::size_t warmed, std::size_t failed) {
    log(LogLevel::info,
        "Async cache warming complete: " + std::to_string(warmed) + " warmed, " + std::to_string(failed) + " failed");
}

/// One thread and its bounded queue. Jobs take turns, a batch each, so that a long one does not hold up a short one.
struct Warmer::Background {
    explicit Background(Warmer& owner) : warmer(owner), thread([this] { run(); }) {}
    ~Background() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        changed.notify_all();
        thread.join();
    }

    bool push(Job job) {
        const std::lock_guard lock(mutex);
        if (jobs.size() >= max_queued_jobs || queued_ids + job.ids.size() > max_queued_ids) return false;
        queued_ids += job.ids.size();
        jobs.push_back(std::move(job));
        changed.notify_all();
        return true;
    }

    void run() {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return stopping || !jobs.empty(); });
            if (stopping) return;
            Job job = std::move(jobs.front());
            jobs.pop_front();
            busy = true;
            lock.unlock();
            take_turn(job);
            lock.lock();
            busy = false;
            if (job.finished())
                queued_ids -= job.ids.size();
            else
                jobs.push_back(std::move(job));
            changed.notify_all();
        }
    }

    void take_turn(Job& job) {
        const std::size_t end = std::min(job.done + job.batch_size, job.ids.size());
        for (; job.done < end; ++job.done) {
            if (is_stopping()) return;
            const WarmOutcome outcome = warm_quietly(warmer.warm_one_, warmer.log_, job.ids[job.done]);
            if (outcome == WarmOutcome::warmed) ++job.warmed;
        }
        if (job.finished()) log_warming_complete(warmer.log_, job.warmed, job.ids.size() - job.warmed);
    }

    bool is_stopping() {
        const std::lock_guard lock(mutex);
        return stopping;
    }

    bool wait_until_idle(std::chrono::milliseconds limit) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, limit, [this] { return jobs.empty() && !busy; });
    }

    Warmer& warmer;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    std::size_t queued_ids = 0;
    bool stopping = false, busy = false;
    std::thread thread;  // last: it uses all of the above
};

Warmer::Warmer(WarmOne warm_one, Estimate estimate, Log log, WarmQueue* queue, std::function<Time()> clock)
    : warm_one_(std::move(warm_one)),
      estimate_(std::move(estimate)),
      log_(std::move(log)),
      queue_(queue),
      clock_(std::move(clock)) {}

Warmer::~Warmer() {
    // A forked child has no such thread to join, and a mutex that may be locked for ever.
    if (background_ && owner_pid_ != ::getpid()) static_cast<void>(background_.release());
}

bool Warmer::at_once(std::size_t count) const {
    const std::chrono::nanoseconds each = estimate_().value_or(default_estimate);
    return static_cast<double>(count) * std::chrono::duration<double>(each).count() <=
           std::chrono::duration<double>(at_once_limit).count();
}

WarmResult Warmer::warm(std::vector<AssignmentId> ids, std::size_t batch_size) {
    const Time start = clock_();
    WarmResult result;
    result.total = ids.size();
    Ids left = ids;
    if (at_once(left.size())) left = warm_now(left, start + at_once_limit, result);
    if (!left.empty()) put_off(left, batch_size, result);
    result.duration = clock_() - start;
    return result;
}

/// Returns those for which the time was too short: computing may take longer than was estimated, or wait for a lock.
Warmer::Ids Warmer::warm_now(Ids ids, Time end, WarmResult& result) {
    for (; !ids.empty() && clock_() < end; ids = ids.subspan(1)) {
        const WarmOutcome outcome = warm_quietly(warm_one_, log_, ids.front());
        if (outcome == WarmOutcome::unavailable) {
            result.failed += ids.size();
            return {};
        }
        ++(outcome == WarmOutcome::warmed ? result.warmed : result.failed);
    }
    return ids;
}

void Warmer::put_off(Ids ids, std::size_t batch_size, WarmResult& result) {
    if (queue_ != nullptr) result.job_id = queue_->push(ids, batch_size);
    result.async_scheduled = queue_ != nullptr ? result.job_id.has_value() : schedule(ids, batch_size);
    result.refused = !result.async_scheduled;
    if (!result.refused) return;
    result.failed += ids.size();
    log_(LogLevel::error, "Async cache warming refused: its queue is full, try again later");
}

bool Warmer::schedule(Ids ids, std::size_t batch_size) {
    Job job;
    job.ids.assign(ids.begin(), ids.end());
    job.batch_size = std::max<std::size_t>(batch_size, 1);
    return background().push(std::move(job));
}

Warmer::Background& Warmer::background() {
    const std::lock_guard lock(mutex_);
    const int pid = ::getpid();
    if (background_ && owner_pid_ != pid) static_cast<void>(background_.release());
    owner_pid_ = pid;
    if (!background_) background_ = std::make_unique<Background>(*this);
    return *background_;
}

bool Warmer::wait_until_idle(std::chrono::milliseconds limit) {
    {
        const std::lock_guard lock(mutex_);
        if (!background_ || owner_pid_ != ::getpid()) return true;
    }
    return background_->wait_until_idle(limit);
}

}  // namespace larder
