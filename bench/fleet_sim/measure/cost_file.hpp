// CostFile: what was measured, each with its unit and how.
#pragma once

#include <boost/json/array.hpp>
#include <string>

namespace larder::bench::sim {

class CostFile {
public:
    /// Prints it, too.
    void add(const std::string& name, double value, const std::string& unit, const std::string& how);
    /// Throws std::runtime_error: it cannot be written, or a cost is missing that the simulation asks for.
    void write(const std::string& path, const std::string& machine) const;

private:
    boost::json::array costs_;
};

/// The unit of most of them.
inline constexpr const char* processor_time = "us of a processor";

}  // namespace larder::bench::sim
