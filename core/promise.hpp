// A promise: a figure that was measured beside the goal it has to reach. Benchmarks and harnesses write them as JSON,
// one object a line, so that several can tell of the same promise.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace larder {

struct Goal {
    std::string op;  ///< "<=", ">=" or "=="
    double value = 0;
};

/// The one judgement of all promises. What is not a number reaches no goal. Throws std::invalid_argument: unknown `op`.
bool holds(const Goal& goal, double measured);

struct Promise {
    std::string name;  ///< "R1"
    std::string unit;
    Goal goal;
    double measured = std::numeric_limits<double>::quiet_NaN();  ///< not a number: nothing was measured
    std::uint64_t samples = 0;                                   ///< that `measured` stands on
    std::vector<double> rounds{};                                ///< the same figure, by round or by harness
    std::string command{};                                       ///< that measures it again
};

/// `{"promise","unit","goal":{"op","value"},"measured","samples","rounds","holds","command"}`; not a number is null,
/// and so is what stands on no samples.
boost::json::object to_json(const Promise& promise);

/// Appends a line to the file; throws std::runtime_error.
void append_promise(const std::string& path, const Promise& promise);

/// All lines of such a file, in order; what several lines tell of one promise is one promise, whose `measured` is the
/// worst of them, whose `rounds` and `samples` are all of them. Throws std::runtime_error: unreadable, no promise, or
/// goals that differ.
std::vector<Promise> read_promises(const std::string& path);

}  // namespace larder
