#include "tests/prove/steps.hpp"

namespace larder::prove {
namespace {

Promise promise(const char* name, const char* unit = "violations", const char* op = "==", double goal = 0) {
    return {name, unit, {op, goal}};
}

/// The test cases with the tag of a promise.
Step cases(const std::string& name, const std::string& program, const std::string& promise) {
    const std::string command = "build/release/tests/" + program + " [" + promise + "]";
    return {name, command, command, promise};
}

}  // namespace

std::vector<Step> steps() {
    return {
        {"processes that are killed", "build/release/tests/larder_torture --kills 2000",
         "build/release/tests/larder_torture --kills 40000 --seconds 1200", ""},
        {"waits", "build/release/tests/larder_waits", "build/release/tests/larder_waits --rounds 500", ""},
        {"a long load", "build/release/tests/larder_soak --seconds 60 --every 5",
         "build/release/tests/larder_soak --seconds 1200", ""},
        {"histories of operations", "build/release/tests/larder_history --operations 1000000",
         "build/release/tests/larder_history --operations 10000000", ""},
        {"pages seen from outside", "build/release/tests/larder_freshness --versions 500",
         "build/release/tests/larder_freshness --versions 4000", ""},
        {"damaged segments", "build/release/tests/larder_damage --mutants 10000",
         "build/release/tests/larder_damage --mutants 100000", ""},
        cases("deaths at every crash point", "shm_tests", "R2"),
        cases("reads beside a stopped writer", "shm_tests", "R4"),
        cases("bounded waits", "shm_tests", "R5"),
        cases("full file systems", "shm_tests", "R7"),
        cases("other layouts", "shm_tests", "R8"),
        cases("hostile clients", "shm_tests", "R12"),
        cases("other users", "shm_tests", "R13"),
        cases("forks", "shm_tests", "R14"),
    };
}

std::vector<Promise> promises() {
    return {promise("R1", "ms", "<=", 10),
            promise("R2"),
            promise("R3"),
            promise("R4"),
            promise("R5"),
            promise("R6"),
            promise("R7"),
            promise("R8"),
            promise("R9", "ms", "<=", 8),
            promise("R10", "ms", "<=", 20),
            promise("R11"),
            promise("R12"),
            promise("R13"),
            promise("R14"),
            promise("R15"),
            promise("R16")};
}

}  // namespace larder::prove
