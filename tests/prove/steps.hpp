// What tools/prove runs: the harnesses of reliability, each with its size for CI and its size for an afternoon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/promise.hpp"

namespace larder::prove {

enum class Kind : std::uint8_t {
    harness,  ///< takes `--promises FILE`
    cases,    ///< test cases; those that fail are the violations of a promise, those that are skipped count nothing
    plain,    ///< says by its exit code only whether all is well
};

struct Step {
    Kind kind;
    std::string name;
    std::string quick, whole;  ///< commands, from the root of the tree; no quick one: not for every change
    std::string promise;       ///< of `cases`
};

std::vector<Step> steps();

/// R1 to R16 with their goals, nothing measured yet.
std::vector<Promise> promises();

}  // namespace larder::prove
