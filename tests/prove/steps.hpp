// What tools/prove runs: the harnesses of reliability, each with its size for CI and its size for an afternoon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/promise.hpp"

namespace larder::prove {

enum class Kind : std::uint8_t {
    harness,  ///< takes `--promises FILE`
    cases,  ///< test cases; those that fail are the violations of the one promise, those that are skipped count nothing
    plain,  ///< measures nothing: says by its exit code whether all is well
};

struct Step {
    Kind kind;
    std::string name;
    std::string command;  ///< from the root of the tree
    // When it does not pass none of these promises holds.
    std::vector<std::string> measures;  ///< by figures of its own
    std::vector<std::string> checks{};  ///< by its exit code alone
    std::string needs{};                ///< a program; where there is none, the step is not run
    bool required = false;              ///< not to be run is not to pass: in the whole form
};

/// Of the quick form, or of the whole one.
std::vector<Step> steps(bool quick);

/// R1 to R16 with their goals, nothing measured yet.
std::vector<Promise> promises();

}  // namespace larder::prove
