// A proof: one run of all steps, and what they measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/prove/steps.hpp"

namespace larder::prove {

struct Outcome {
    std::string step;
    std::chrono::milliseconds time{0};
    bool passed = false;
    std::uint64_t skipped = 0;  ///< cases that need root
    std::string log;            ///< the last lines of what it printed, where it did not pass
};

class Proof {
public:
    /// Runs in `directory`, where each step leaves its log. One step at a time.
    Proof(std::string directory, bool quick);

    /// At most three hours. A harness appends its promises to this proof's file.
    Outcome run(const Step& step);

    /// R1 to R16 in their order, as measured by the steps that were run; not a number: by none of them. Throws
    /// std::runtime_error when a harness has another goal.
    std::vector<Promise> promises() const;

private:
    std::uint64_t count_cases(const Step& step, const std::string& report) const;

    std::string directory_;
    bool quick_;
};

}  // namespace larder::prove
