// WarmStart: which documents are cached when a simulation begins, as if the fleet had run for ever.
#pragma once

#include <vector>

#include "bench/fleet_sim/random.hpp"
#include "bench/fleet_sim/scenario.hpp"
#include "bench/fleet_sim/views.hpp"

namespace larder::bench::sim {

/// Where no engine makes anybody wait, this is the distribution that the simulation itself comes to.
struct WarmStart {
    WarmStart(const Scenario& scenario, Random& random, const Zipf& views, const Zipf& changes);

    std::vector<std::vector<Holding>> cached;  ///< by assignment
    std::vector<float> documents;              ///< of the second tier: when computed, by assignment
};

}  // namespace larder::bench::sim
