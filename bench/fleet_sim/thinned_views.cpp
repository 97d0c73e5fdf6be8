#include "bench/fleet_sim/thinned_views.hpp"

#include <algorithm>
#include <utility>

namespace larder::bench::sim {

void ThinnedViews::start(const std::vector<std::vector<Holding>>& cached) {
    assignments_.resize(scenario_.assignments);
    std::vector<bool> is_there;
    for (std::uint32_t number = 0; number < scenario_.assignments; ++number) {
        Assignment& assignment = assignments_[number];
        assignment.alive = cached[number];
        std::sort(assignment.alive.begin(), assignment.alive.end(),
                  [](const Holding& one, const Holding& other) { return one.computed_at_s < other.computed_at_s; });
        is_there.assign(scenario_.hosts, false);
        for (const Holding& holding : assignment.alive) is_there[holding.host] = true;
        for (std::uint32_t host = 0; host < scenario_.hosts; ++host)
            if (!is_there[host]) assignment.doubtful.push_back({.host = host});
        plan_view(number);
        plan_expiry(number);
    }
}

void ThinnedViews::changed(std::uint32_t number) {
    Assignment& assignment = assignments_[number];
    assignment.alive.erase(assignment.alive.begin(),
                           assignment.alive.begin() + static_cast<std::ptrdiff_t>(assignment.expired));
    assignment.expired = 0;
    if (assignment.doubtful.size() < assignment.alive.size()) std::swap(assignment.doubtful, assignment.alive);
    assignment.doubtful.insert(assignment.doubtful.end(), assignment.alive.begin(), assignment.alive.end());
    assignment.alive.clear();
    plan_view(number);
}

void ThinnedViews::filled(std::uint32_t number, const Holding& holding) {
    account(number, -1);
    keep(number, holding);
}

void ThinnedViews::keep(std::uint32_t number, const Holding& holding) {
    Assignment& assignment = assignments_[number];
    const bool is_alive = !is_expired(holding) && !changes_.any_of(number, holding.seen, changes_.count());
    if (!is_alive) {
        assignment.doubtful.push_back(holding);
        return plan_view(number);
    }
    // Where a host took another's document, one that was computed earlier may be kept later.
    auto place = assignment.alive.end();
    while (place != assignment.alive.begin() + static_cast<std::ptrdiff_t>(assignment.expired) &&
           std::prev(place)->computed_at_s > holding.computed_at_s)
        --place;
    assignment.alive.insert(place, holding);
    plan_expiry(number);
}

void ThinnedViews::plan_view(std::uint32_t number) {
    Assignment& assignment = assignments_[number];
    const std::uint32_t plan = ++assignment.plan;
    if (assignment.doubtful.empty()) return;
    const double rate = rate_of(number) * static_cast<double>(assignment.doubtful.size());
    // Sixteen bytes of captures, so that no memory is asked for.
    queue_.after(random_.gap_s(rate), [this, number, plan] {
        if (assignments_[number].plan == plan) view(number);
    });
}

void ThinnedViews::view(std::uint32_t number) {
    std::vector<Holding>& doubtful = assignments_[number].doubtful;
    const std::uint32_t place = random_.below(static_cast<std::uint32_t>(doubtful.size()));
    const Holding holding = doubtful[place];
    const bool is_miss = is_dead(number, holding);
    if (is_miss) {
        doubtful[place] = doubtful.back();
        doubtful.pop_back();
        ++misses_;
        account(number, 1);
    }
    plan_view(number);
    if (is_miss) miss_(number, holding);
}

void ThinnedViews::plan_expiry(std::uint32_t number) {
    Assignment& assignment = assignments_[number];
    if (assignment.expiry_is_planned || assignment.expired == assignment.alive.size()) return;
    assignment.expiry_is_planned = true;
    queue_.at(assignment.alive[assignment.expired].computed_at_s + scenario_.ttl_s, [this, number] { expire(number); });
}

void ThinnedViews::expire(std::uint32_t number) {
    Assignment& assignment = assignments_[number];
    assignment.expiry_is_planned = false;
    const std::size_t before = assignment.expired;
    while (assignment.expired < assignment.alive.size() && is_expired(assignment.alive[assignment.expired]))
        assignment.doubtful.push_back(assignment.alive[assignment.expired++]);
    const bool is_half_empty = assignment.expired > assignment.alive.size() / 2;
    if (assignment.expired != before) plan_view(number);
    if (is_half_empty) {
        assignment.alive.erase(assignment.alive.begin(),
                               assignment.alive.begin() + static_cast<std::ptrdiff_t>(assignment.expired));
        assignment.expired = 0;
    }
    plan_expiry(number);
}

/// Up to now so many were being made.
void ThinnedViews::account(std::uint32_t number, int change) {
    waits_ += filling_rate_ * (queue_.now_s() - accounted_at_s_);
    accounted_at_s_ = queue_.now_s();
    filling_rate_ = std::max(0.0, filling_rate_ + change * rate_of(number));
}

double ThinnedViews::hits() const {
    const double now_s = queue_.now_s();
    const double waits = waits_ + filling_rate_ * (now_s - accounted_at_s_);
    const double all = scenario_.hosts * scenario_.views_per_s * (now_s - measured_from_s_);
    return std::max(0.0, all - waits - static_cast<double>(misses_));
}

void ThinnedViews::begin_measuring() {
    measured_from_s_ = accounted_at_s_ = queue_.now_s();
    waits_ = 0;
    misses_ = 0;
}

}  // namespace larder::bench::sim
