// NatsCosts: what notices, documents and leases cost a cluster of three nats-servers, which is started for it.
#pragma once

#include <string>

#include "bench/fleet_sim/measure/cost_file.hpp"

namespace larder::bench::sim {

/// `directory`: empty. Throws std::runtime_error.
void measure_nats(const std::string& directory, CostFile& costs);

}  // namespace larder::bench::sim
