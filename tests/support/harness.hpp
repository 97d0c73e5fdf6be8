// What the harnesses' programs have in common.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "core/promise.hpp"
#include "tests/support/quantile.hpp"

namespace larder::test {

/// The program's exit code: what run() returns; what it throws is a failure, and `command` shows it again.
template <class Run>
int run_harness(const std::string& command, Run&& run) try {
    return run();
} catch (const std::exception& error) {
    std::printf("FAILED: %s\nagain: %s\n", error.what(), command.c_str());
    return 1;
}

/// What deaths can tell of R1 to R3 and R15.
struct DeathFigures {
    std::string broken;  // the promise that a failure breaks
    std::vector<std::int64_t> answers_ns;
    std::uint64_t deaths = 0;
    std::uint64_t checked = 0;             // values, by R3
    std::uint64_t returned = 0, late = 0;  // estates, and those of them that came back later than R15 says
};

inline void append_promises(const std::string& path, const DeathFigures& figures, const std::string& command) {
    const double p99_ms = figures.broken == "R1" ? 10'000 : quantile(figures.answers_ns, 0.99, kMs);
    append_promise(path, {"R1", "ms", {"<=", 10}, p99_ms, figures.answers_ns.size(), {p99_ms}, command});
    const auto tell = [&](const std::string& name, std::uint64_t violations, std::uint64_t samples) {
        const auto all = static_cast<double>(violations + (figures.broken == name ? 1 : 0));
        append_promise(path, {name, "violations", {"==", 0}, all, samples, {all}, command});
    };
    tell("R2", 0, figures.deaths);
    tell("R3", 0, figures.checked);
    tell("R15", figures.late, figures.returned);
}

}  // namespace larder::test
