#include "bench/fleet_sim/limits.hpp"

#include <algorithm>
#include <cmath>

#include "bench/fleet_sim/fleet_run.hpp"

namespace larder::bench::sim {
namespace {

FleetResult try_hosts(Scenario scenario, std::uint32_t hosts, const Costs& costs) {
    scenario.hosts = hosts;
    return simulate(scenario, costs);
}

bool carries(const FleetResult& result) {
    return result.busiest().busy_share <= most_busy &&
           std::all_of(result.engines.begin(), result.engines.end(),
                       [](const EngineResult& engine) { return engine.refused == 0; });
}

}  // namespace

/// Tenfold from 10 on until it is too much, so that few large fleets are simulated.
Limit find_limit(Scenario scenario, const Costs& costs, std::uint32_t most_hosts) {
    constexpr double close_enough = 1.03;
    std::uint32_t carried = 0, too_many = 0;
    FleetResult at_limit, beyond;
    for (std::uint32_t hosts = std::min(most_hosts, 10u); too_many == 0 && carried < most_hosts;
         hosts = std::min(most_hosts, hosts * 10)) {
        FleetResult result = try_hosts(scenario, hosts, costs);
        const bool is_carried = carries(result);
        (is_carried ? carried : too_many) = hosts;
        (is_carried ? at_limit : beyond) = std::move(result);
    }
    while (too_many > carried + 1 && too_many > carried * close_enough) {
        const double middle = carried == 0 ? too_many / 2.0 : std::sqrt(static_cast<double>(carried) * too_many);
        const auto hosts = std::clamp(static_cast<std::uint32_t>(middle), carried + 1, too_many - 1);
        FleetResult result = try_hosts(scenario, hosts, costs);
        const bool is_carried = carries(result);
        (is_carried ? carried : too_many) = hosts;
        (is_carried ? at_limit : beyond) = std::move(result);
    }
    scenario.hosts = carried;
    const FleetResult& telling = too_many == 0 ? at_limit : beyond;
    return {scenario, too_many == 0, telling.busiest().name, telling.busiest().busy_share};
}

}  // namespace larder::bench::sim
