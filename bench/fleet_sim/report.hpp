// Report: the rows of a simulation as a table and as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "bench/fleet_sim/fleet_run.hpp"
#include "bench/fleet_sim/limits.hpp"

namespace larder::bench::sim {

std::string table_head();
std::string table_row(const FleetResult& result);
boost::json::object to_json(const FleetResult& result);

std::string limits_head();
std::string limits_row(const Limit& limit);
boost::json::object to_json(const Limit& limit);

}  // namespace larder::bench::sim
