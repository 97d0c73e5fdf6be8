// Limits: how many hosts a way of telling them carries.
#pragma once

#include <string>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/scenario.hpp"

namespace larder::bench::sim {

inline constexpr double most_busy = 0.7;  ///< of each engine; above it waits grow fast

struct Limit {
    Scenario scenario;       ///< its hosts: the largest number found
    bool is_beyond = false;  ///< more than that were not tried
    std::string engine;      ///< what has no room for more; where that was not tried, the busiest
    double busy_share = 0;   ///< of it, with so many hosts
};

/// By bisection between 1 and `most_hosts`, until two numbers differ by 3 %. Each trial measures `scenario.measured_s`
/// with each of some seeds, and takes the mean: few changes are few draws of what is changed. No hosts at all: one is
/// too many.
Limit find_limit(Scenario scenario, const Costs& costs, std::uint32_t most_hosts);

}  // namespace larder::bench::sim
