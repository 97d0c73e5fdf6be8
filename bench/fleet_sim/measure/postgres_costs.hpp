// PostgresCosts: what the outbox, its doorbell and a document cost a PostgreSQL server, which is started for it.
#pragma once

#include <string>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/measure/cost_file.hpp"

namespace larder::bench::sim {

/// `directory`: empty, and readable for everybody. Throws std::runtime_error.
void measure_postgres(const std::string& directory, CostFile& costs);

/// Twenty relays beside a writer, and the same simulated: prints both. `directory`: as above.
void compare_with_relays(const std::string& directory, Costs costs);

}  // namespace larder::bench::sim
