#include "bench/fleet_sim/measure/cost_file.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "bench/fleet_sim/costs.hpp"

namespace larder::bench::sim {

void CostFile::add(const std::string& name, double value, const std::string& unit, const std::string& how) {
    const double rounded = std::round(value * 100) / 100;
    fmt::print("{:<24}{:>10.2f} {:<18} {}\n", name, rounded, unit, how);
    std::fflush(stdout);
    costs_.push_back(boost::json::object{{"name", name}, {"value", rounded}, {"unit", unit}, {"how", how}});
}

/// A cost a line, so that two of these files can be compared.
void CostFile::write(const std::string& path, const std::string& machine) const {
    std::ofstream file(path);
    file << "{\"machine\": " << boost::json::serialize(boost::json::string(machine)) << ",\n\"costs\": [\n";
    for (std::size_t n = 0; n < costs_.size(); ++n)
        file << boost::json::serialize(costs_[n]) << (n + 1 < costs_.size() ? ",\n" : "\n");
    file << "]}\n";
    if (!file.flush()) throw std::runtime_error("cannot write to " + path);
    read_costs(path);
}

}  // namespace larder::bench::sim
