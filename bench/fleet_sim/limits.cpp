#include "bench/fleet_sim/limits.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "bench/fleet_sim/fleet_run.hpp"

namespace larder::bench::sim {
namespace {

constexpr int seeds = 3;

/// How busy each engine is, over all seeds.
struct Trial {
    std::map<std::string, double> busy_share;
    bool is_refused = false;

    std::pair<const std::string, double> busiest() const {
        return *std::max_element(busy_share.begin(), busy_share.end(),
                                 [](const auto& one, const auto& other) { return one.second < other.second; });
    }
    bool carries() const { return !is_refused && busiest().second <= most_busy; }
};

Trial try_hosts(Scenario scenario, std::uint32_t hosts, const Costs& costs) {
    scenario.hosts = hosts;
    Trial trial;
    for (int seed = 0; seed < seeds; ++seed, ++scenario.seed)
        for (const EngineResult& engine : simulate(scenario, costs).engines) {
            trial.busy_share[engine.name] += engine.busy_share / seeds;
            trial.is_refused = trial.is_refused || engine.refused != 0;
        }
    return trial;
}

}  // namespace

/// Tenfold from 10 on until it is too much, so that few large fleets are simulated.
Limit find_limit(Scenario scenario, const Costs& costs, std::uint32_t most_hosts) {
    constexpr double close_enough = 1.03;
    std::uint32_t carried = 0, too_many = 0;
    Trial at_limit, beyond;
    for (std::uint32_t hosts = std::min(most_hosts, 10u); too_many == 0 && carried < most_hosts;
         hosts = std::min(most_hosts, hosts * 10)) {
        Trial trial = try_hosts(scenario, hosts, costs);
        const bool is_carried = trial.carries();
        (is_carried ? carried : too_many) = hosts;
        (is_carried ? at_limit : beyond) = std::move(trial);
    }
    while (too_many > carried + 1 && too_many > carried * close_enough) {
        const double middle = carried == 0 ? too_many / 2.0 : std::sqrt(static_cast<double>(carried) * too_many);
        const auto hosts = std::clamp(static_cast<std::uint32_t>(middle), carried + 1, too_many - 1);
        Trial trial = try_hosts(scenario, hosts, costs);
        const bool is_carried = trial.carries();
        (is_carried ? carried : too_many) = hosts;
        (is_carried ? at_limit : beyond) = std::move(trial);
    }
    scenario.hosts = carried;
    const std::string full = (too_many == 0 ? at_limit : beyond).busiest().first;
    return {scenario, too_many == 0, full, carried == 0 ? 0 : at_limit.busy_share.at(full)};
}

}  // namespace larder::bench::sim
