// What tools/prove runs: the harnesses of reliability, each with its size for CI and its size for an afternoon.
#pragma once

#include <string>
#include <vector>

#include "core/promise.hpp"

namespace larder::prove {

struct Step {
    std::string name;
    std::string quick, whole;  ///< commands, from the root of the tree
    std::string cases_of;  ///< a promise: the command runs test cases, and those that fail are its violations. Else the
                           ///< command is a harness that takes `--promises FILE`
};

std::vector<Step> steps();

/// R1 to R16 with their goals, nothing measured yet.
std::vector<Promise> promises();

}  // namespace larder::prove
