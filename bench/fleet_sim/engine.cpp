#include "bench/fleet_sim/engine.hpp"

#include <algorithm>
#include <utility>

namespace larder::bench::sim {

Engine::Engine(EventQueue& queue, std::string name, int processors, Discipline discipline, std::size_t most_jobs)
    : queue_(queue), name_(std::move(name)), processors_(processors), discipline_(discipline), most_jobs_(most_jobs) {}

bool Engine::submit(double work_s, Action done, Action begun) {
    if (running_ + waiting_.size() >= most_jobs_) {
        ++refused_;
        return false;
    }
    Job job{work_s, 0, submitted_++, std::move(done), std::move(begun)};
    if (discipline_ == Discipline::shared)
        share(std::move(job));
    else if (static_cast<double>(running_) < processors_)
        start(std::move(job));
    else
        waiting_.push_back(std::move(job));
    return true;
}

double Engine::busy_processors() const { return std::min(processors_, static_cast<double>(running_)); }

/// Up to now as many were busy as are now.
void Engine::account() {
    const double passed_s = queue_.now_s() - accounted_at_;
    accounted_at_ = queue_.now_s();
    if (running_ == 0) return;
    busy_s_ += busy_processors() * passed_s;
    virtual_s_ += busy_processors() / static_cast<double>(running_) * passed_s;
}

void Engine::start(Job job) {
    account();
    ++running_;
    if (job.begun) job.begun();
    queue_.after(job.work_s, [this, done = std::move(job.done)] { finish(done); });
}

void Engine::finish(const Action& done) {
    account();
    --running_;
    ++done_;
    if (!waiting_.empty()) {
        Job next = std::move(waiting_.front());
        waiting_.pop_front();
        start(std::move(next));
    }
    if (done) done();
}

void Engine::share(Job job) {
    account();
    ++running_;
    if (job.begun) job.begun();
    job.ends_at = virtual_s_ + job.work_s;
    sharing_.push_back(std::move(job));
    std::push_heap(sharing_.begin(), sharing_.end(), ends_later);
    plan_departure();
}

/// If nobody comes. REQUIRES: somebody is there.
double Engine::first_departure_s() const {
    const double left_s = std::max(0.0, sharing_.front().ends_at - virtual_s_);
    return queue_.now_s() + left_s * static_cast<double>(running_) / busy_processors();
}

/// An event that comes too early, because others have come since, plans again; one that would come too late is
/// replaced.
void Engine::plan_departure() {
    if (sharing_.empty()) return;
    const double at_s = first_departure_s();
    if (planned_at_ != 0 && planned_at_ <= at_s) return;
    planned_at_ = at_s;
    queue_.at(at_s, [this, plan = ++planned_] {
        if (plan == planned_) depart();
    });
}

void Engine::depart() {
    account();
    planned_at_ = 0;
    // What is left may be less than the clock can show.
    if (!sharing_.empty() && first_departure_s() <= queue_.now_s() * (1 + 1e-15)) {
        std::pop_heap(sharing_.begin(), sharing_.end(), ends_later);
        const Action done = std::move(sharing_.back().done);
        sharing_.pop_back();
        --running_;
        ++done_;
        if (done) done();
    }
    plan_departure();
}

Engine::Load Engine::load() const {
    const double measured_s = queue_.now_s() - measured_from_;
    const double busy_s = busy_s_ + busy_processors() * (queue_.now_s() - accounted_at_);
    return {measured_s > 0 ? busy_s / measured_s / processors_ : 0, done_, refused_};
}

void Engine::begin_measuring() {
    account();
    measured_from_ = queue_.now_s();
    busy_s_ = 0;
    done_ = refused_ = 0;
}

}  // namespace larder::bench::sim
