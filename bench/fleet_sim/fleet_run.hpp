// FleetRun: one simulation, and what came of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/delays.hpp"
#include "bench/fleet_sim/scenario.hpp"

namespace larder::bench::sim {

struct EngineResult {
    std::string name;
    double busy_share = 0;
    std::uint64_t refused = 0;
};

struct FleetResult {
    Scenario scenario;
    double changes_per_s = 0, taken_per_s = 0;
    double computations_per_s = 0;   ///< at the database
    double after_changes_per_s = 0;  ///< of them: not because a time to live was over
    double looks_per_s = 0;
    double notices_per_s = 0;     ///< out of the relay: changes told
    double deliveries_per_s = 0;  ///< of messages or doorbells, to all hosts
    double hit_ratio = 0;
    double refused_per_s = 0;  ///< views that were errors, because a queue was full
    Delays staleness, answers, fills;
    std::vector<EngineResult> engines;  ///< database, relay, the nats-servers
    std::uint64_t events = 0;
    double took_s = 0;  ///< of this machine's time

    /// The engine that has the least left.
    const EngineResult& busiest() const;
    double computations_per_change() const { return changes_per_s > 0 ? after_changes_per_s / changes_per_s : 0; }
};

/// The same for the same scenario, costs and seed.
FleetResult simulate(const Scenario& scenario, const Costs& costs);

}  // namespace larder::bench::sim
