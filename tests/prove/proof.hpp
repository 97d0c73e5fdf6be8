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
    std::string log;            ///< where it did not pass: the last lines of what it printed, and where all of it is
};

class Proof {
public:
    /// Runs in `directory`, where each step leaves its log and its figures. One step at a time, which is killed, with
    /// all that it started, when it takes `longest`. Throws std::runtime_error: the directory is not empty.
    explicit Proof(std::string directory, std::chrono::milliseconds longest = std::chrono::hours(3));

    /// A harness passes only if it measured all that it is to measure, and nothing else.
    Outcome run(const Step& step);

    /// R1 to R16 in their order, as measured by the steps that were run; not a number: by none of them, or one that
    /// measures or checks it did not pass. Throws std::runtime_error when a harness has another goal.
    std::vector<Promise> promises() const;
    /// Why that is not a number: the steps that did not pass, or "".
    std::string why(const std::string& promise) const;

private:
    std::string file(const Step& step, const char* ending) const;
    std::uint64_t count_cases(const Step& step) const;
    std::string keep_figures(const Step& step, bool passed);
    void break_promises(const Step& step, const std::vector<std::string>& broken);

    std::string directory_, figures_;
    std::chrono::milliseconds longest_;
    std::map<std::string, std::string> failed_;  // by promise: the names of steps
};

/// From now on what ends this process by a signal ends the step that runs, too, with all that it started.
void end_steps_with_us();

}  // namespace larder::prove
