// What is done to a fleet.
#pragma once

#include <vector>

#include "tests/fleet/world.hpp"
#include "tests/fleet/writers.hpp"

namespace larder::fleet {

struct Case {
    const char* name;
    const char* what;
    void (*play)(World& world, double seconds);  ///< returns when all is well again
    Pace pace{};
    bool delays = false;
    bool needs_nats = false;
};

/// The first is calm.
const std::vector<Case>& all_cases();

}  // namespace larder::fleet
