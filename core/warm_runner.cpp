#include "core/warm_runner.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/submission_source.hpp"

namespace larder {
namespace {

std::int64_t random_number() {
    std::random_device device;
    return std::uniform_int_distribution<std::int64_t>(1)(device);
}

}  // namespace

struct WarmRunner::Outcome {
    std::size_t warmed = 0, failed = 0;
    bool lost = false;  // another has taken the turn
};

WarmRunner::WarmRunner(WarmQueue& queue, WarmOne warm_one, Log log, std::size_t threads, IsKept is_kept)
    : queue_(queue),
      warm_one_(std::move(warm_one)),
      log_(std::move(log)),
      threads_(std::max<std::size_t>(threads, 1)),
      is_kept_(std::move(is_kept)),
      number_(random_number()) {}

/// The threads take the turn's ids one by one; this one only watches, since a report may wait for the database.
WarmRunner::Outcome WarmRunner::work(const WarmTurn& turn, const std::stop_token& stop) {
    std::atomic<std::size_t> next{0}, warmed{0}, failed{0};
    std::atomic<bool> given_up{false};
    std::mutex mutex;
    std::condition_variable_any ended;
    const auto take = [&] {
        while (!stop.stop_requested() && !given_up.load(std::memory_order_relaxed)) {
            const std::size_t at = next.fetch_add(1, std::memory_order_relaxed);
            if (at >= turn.ids.size()) return;
            const bool is_warm = warm_quietly(warm_one_, log_, turn.ids[at]) == WarmOutcome::warmed;
            (is_warm ? warmed : failed).fetch_add(1, std::memory_order_relaxed);
        }
    };
    std::size_t at_work = std::min(threads_, turn.ids.size());
    const auto take_and_say_so = [&] {
        take();
        const std::lock_guard lock(mutex);
        --at_work;
        ended.notify_all();
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 0, count = at_work; i < count; ++i) threads.emplace_back(take_and_say_so);
    try {
        std::unique_lock lock(mutex);
        while (!ended.wait_for(lock, report_interval, [&] { return at_work == 0; })) {
            lock.unlock();
            if (!queue_.report(turn, number_, warmed + failed)) given_up = true;
            lock.lock();
        }
    } catch (...) {
        given_up = true;
        throw;  // the threads end before their variables do
    }
    return {warmed, failed, given_up};
}

bool WarmRunner::step(const std::stop_token& stop) {
    const std::optional<WarmTurn> turn = queue_.take_turn(number_);
    if (!turn) return false;
    const Outcome outcome = work(*turn, stop);
    if (outcome.lost) return true;
    if (outcome.warmed + outcome.failed < turn->ids.size())
        queue_.give_back(*turn, number_);
    else
        finish(*turn, outcome);
    return true;
}

void WarmRunner::finish(const WarmTurn& turn, const Outcome& outcome) {
    std::vector<AssignmentId> ids;  // of the whole job, which the queue forgets with its end
    if (turn.is_last() && is_kept_) ids = queue_.ids_of(turn.job);
    if (!queue_.finish_turn(turn, number_, outcome.warmed, outcome.failed) || !turn.is_last()) return;
    const auto kept = static_cast<std::size_t>(std::count_if(ids.begin(), ids.end(), is_kept_));
    if (const std::optional<WarmJob> job = queue_.find(turn.job)) log_end(*job, kept);
}

void WarmRunner::log_end(const WarmJob& job, std::size_t kept) {
    log_warming_complete(log_, job.warmed, job.failed);
    if (!is_kept_ || 10 * kept >= 9 * job.warmed) return;  // a few changes meanwhile are no news
    log_(LogLevel::warning, "Warming job " + std::to_string(job.id) + ": of the " + std::to_string(job.warmed) +
                                " assignments warmed only " + std::to_string(kept) +
                                " are in the cache; the others were evicted, expired or changed meanwhile: see "
                                "whether the cache is large enough (`larder doctor`) and its --ttl long enough");
}

void WarmRunner::run(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::string last_error;
    while (!stop.stop_requested()) {
        try {
            if (step(stop)) continue;
            last_error.clear();
        } catch (const SourceError& error) {
            if (last_error != error.what()) log_(LogLevel::error, error.what());
            last_error = error.what();
        }
        std::unique_lock lock(mutex);
        stopped.wait_for(lock, stop, poll_interval, [] { return false; });
    }
}

}  // namespace larder
