// A proof: one run of all steps, and what they measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/prove/steps.hpp"

namespace larder::prove {

struct Outcome {
    std::chrono::milliseconds time{0};
    bool passed = false;
    std::string missing;        ///< the program for want of which it was not run: then it has proved nothing
    std::uint64_t skipped = 0;  ///< cases that need root
    std::string log;            ///< the last lines of what it printed, where it did not pass
};

class Proof {
public:
    /// Runs in `directory`, where each step leaves its log and its figures. One step at a time. Throws
    /// std::runtime_error: it is not empty.
    explicit Proof(std::string directory);

    /// At most three hours. A harness passes only if it measured all that it shows, and nothing else.
    Outcome run(const Step& step);

    /// R1 to R16 in their order, as measured by the steps that were run; not a number: by none of them, or one that
    /// shows it did not pass. Throws std::runtime_error when a harness has another goal.
    std::vector<Promise> promises() const;
    /// Why that is not a number: the steps that did not pass, or "".
    std::string why(const std::string& promise) const;

private:
    std::string file(const Step& step, const char* ending) const;
    std::uint64_t count_cases(const Step& step) const;
    std::string keep_figures(const Step& step, bool passed);

    std::string directory_, figures_;
    std::map<std::string, std::string> failed_;  // by promise: the names of steps
};

}  // namespace larder::prove
