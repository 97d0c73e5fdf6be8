// Somebody who asks the database by the bridge all the time, from a node to which nothing happens: how fast the machine
// itself is.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/fleet/network.hpp"
#include "tests/fleet/observation.hpp"

namespace larder::fleet {

/// Asks 50 times a second, and waits for the answer at most 20 s.
class Bystander {
public:
    Bystander(int node, std::string url);
    ~Bystander();
    Bystander(const Bystander&) = delete;
    Bystander& operator=(const Bystander&) = delete;

    /// Ends it. Round trips, the connects where there had to be some among them; not those that ended in an error.
    Quantiles finish();

private:
    void ask();

    const Node node_;
    const std::string url_;
    std::atomic<bool> stopped_{false};
    std::vector<std::int64_t> times_ns_;
    std::thread thread_;
};

}  // namespace larder::fleet
