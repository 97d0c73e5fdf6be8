#include "tests/prove/steps.hpp"

namespace larder::prove {
namespace {

Promise promise(const char* name, const char* unit = "violations", const char* op = "==", double goal = 0) {
    return {name, unit, {op, goal}};
}

const std::string kTests = "build/release/tests/";

Step harness(const char* name, const std::string& program, const std::string& quick, const std::string& whole) {
    return {Kind::harness, name, kTests + program + " " + quick, kTests + program + " " + whole, ""};
}

/// The test cases with the tag of a promise.
Step cases(const char* name, const std::string& program, const std::string& promise) {
    const std::string command = kTests + program + " --warn NoTests [" + promise + "]";
    return {Kind::cases, name, command, command, promise};
}

Step plain(const char* name, const std::string& quick, const std::string& whole) {
    return {Kind::plain, name, quick, whole, ""};
}

/// Of which some must match.
Step tests(const char* name, const std::string& program, const std::string& quick, const std::string& whole) {
    const std::string command = kTests + program + " --warn NoTests ";
    return plain(name, command + quick, command + whole);
}

}  // namespace

std::vector<Step> steps() {
    const std::string ctest = "ctest --test-dir build/release --no-tests=error --output-on-failure -L ";
    return {
        harness("processes that are killed", "larder_torture", "--kills 2000", "--kills 40000 --seconds 1200"),
        harness("deaths at any instruction", "larder_single_step", "--points 2", "--points 200"),
        harness("waits", "larder_waits", "--rounds 50", "--rounds 500"),
        harness("a long load", "larder_soak", "--seconds 60 --every 5", "--seconds 1200"),
        harness("histories of operations", "larder_history", "--operations 1000000", "--operations 10000000"),
        harness("pages seen from outside", "larder_freshness", "--versions 500", "--versions 4000"),
        harness("damaged segments", "larder_damage", "--mutants 10000", "--mutants 100000 --seconds 7200"),
        cases("deaths at every crash point", "shm_tests", "R2"),
        cases("reads beside a stopped writer", "shm_tests", "R4"),
        cases("full file systems", "shm_tests", "R7"),
        cases("small file systems", "environment_tests", "R7"),
        cases("other layouts", "shm_tests", "R8"),
        cases("hostile clients", "shm_tests", "R12"),
        cases("hostile surroundings", "environment_tests", "R12"),
        cases("other users", "shm_tests", "R13"),
        cases("other users at the files", "environment_tests", "R13"),
        cases("forks", "shm_tests", "R14"),
        cases("storms of forks", "environment_tests", "R14"),
        tests("bounded waits, by cases", "shm_tests", "[R5]", "[R5]"),
        tests("one computation, by cases", "shm_tests", "[R10]", "[R10]"),
        tests("surroundings", "environment_tests", "", ""),
        tests("the n-th call or allocation fails", "shm_tests", "'Whatever*' '~[.all]'", "[.all]"),
        tests("the program's n-th call fails", "failing_calls_tests", "", "[.all]"),
        plain("models", ctest + "model", ctest + "model"),
        plain("fuzzers", ctest + "fuzz", "tests/fuzz/run 600"),
        plain("memcheck", "", "tests/memcheck/run"),
    };
}

std::vector<Promise> promises() {
    return {promise("R1", "ms", "<=", 10),
            promise("R2"),
            promise("R3"),
            promise("R4"),
            promise("R5", "of the limit", "<=", 1),
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
