#include "tests/prove/steps.hpp"

#include <utility>

#include "tests/support/coarse_clock.hpp"

namespace larder::prove {
namespace {

Promise promise(const char* name, const char* unit = "violations", const char* op = "==", double goal = 0) {
    return {name, unit, {op, goal}};
}

using Names = std::vector<std::string>;

Names names(const std::vector<Promise>& promises) {
    Names names;
    for (const Promise& one : promises) names.push_back(one.name);
    return names;
}

const std::string kTests = "build/release/tests/";
const std::string kCtest = "ctest --test-dir build/release --no-tests=error --output-on-failure -L ";

/// In one form or in both.
class Steps {
public:
    explicit Steps(bool quick) : quick_(quick) {}

    void harness(const char* name, const std::string& program, const Names& measures, const Names& checks,
                 const std::string& quick, const std::string& whole) {
        add({Kind::harness, name, kTests + program + " " + (quick_ ? quick : whole), measures, checks});
    }
    /// The test cases with the tag of a promise.
    void cases(const char* name, const std::string& program, const std::string& promise, const Names& checks = {}) {
        add({Kind::cases, name, kTests + program + " --warn NoTests [" + promise + "]", {promise}, checks});
    }
    void plain(const char* name, const Names& checks, const std::string& quick, const std::string& whole,
               const char* needs = "") {
        add({Kind::plain, name, quick_ ? quick : whole, {}, checks, needs});
    }
    /// Test cases of which some must match.
    void tests(const char* name, const std::string& program, const Names& checks, const std::string& quick,
               const std::string& whole) {
        const std::string command = kTests + program + " --warn NoTests ";
        plain(name, checks, command + quick, command + whole);
    }
    void whole_only(const char* name, const Names& checks, const std::string& command, const char* needs = "") {
        if (!quick_) add({Kind::plain, name, command, {}, checks, needs});
    }

    std::vector<Step> all;

private:
    void add(Step step) {
        step.required = !quick_;
        all.push_back(std::move(step));
    }

    bool quick_;
};

void add_harnesses(Steps& steps) {
    steps.harness("processes that are killed", "larder_torture", {"R1", "R2", "R3", "R15"}, {}, "--kills 2000",
                  "--kills 40000 --seconds 1200");
    steps.harness("deaths at any instruction", "larder_single_step", {"R1", "R2", "R3", "R15"}, {}, "--points 2",
                  "--points 200");
    steps.harness("waits", "larder_waits", {"R4", "R5", "R10"}, {}, "--rounds 50", "--rounds 500");
    steps.harness("a long load", "larder_soak", {"R3", "R15"}, {"R1"}, "--seconds 60 --every 5", "--seconds 1200");
    steps.harness("histories of operations", "larder_history", {"R3", "R9", "R11", "R16"}, {"R1"},
                  "--operations 1000000", "--operations 10000000");
    steps.harness("pages seen from outside", "larder_freshness", {"R11"}, {"R1"}, "--versions 500", "--versions 4000");
    steps.harness("damaged segments", "larder_damage", {"R3", "R6"}, {}, "--mutants 10000 --seconds 1700",
                  "--mutants 100000 --seconds 7200");
}

void add_cases(Steps& steps) {
    steps.cases("deaths at every crash point", "shm_tests", "R2", {"R1", "R3", "R15"});
    steps.cases("reads beside a stopped writer", "shm_tests", "R4");
    steps.cases("full file systems", "shm_tests", "R7");
    steps.cases("small file systems", "environment_tests", "R7");
    steps.cases("other layouts", "shm_tests", "R8");
    steps.cases("hostile clients", "shm_tests", "R12");
    steps.cases("hostile surroundings", "environment_tests", "R12");
    steps.cases("other users", "shm_tests", "R13");
    steps.cases("other users at the files", "environment_tests", "R13");
    steps.cases("forks", "shm_tests", "R14");
    steps.cases("storms of forks", "environment_tests", "R14");
    steps.tests("bounded waits, by cases", "shm_tests", {"R5"}, "[R5]", "[R5]");
    steps.tests("one computation, by cases", "shm_tests", {"R10"}, "[R10]", "[R10]");
    steps.tests("surroundings", "environment_tests", {"R1", "R7", "R9", "R12", "R13", "R14", "R15"}, "", "");
    steps.tests("the n-th call or allocation fails", "shm_tests", {"R3", "R7", "R15"}, "'Whatever*' '~[.all]'",
                "[.all]");
    steps.tests("the program's n-th call fails", "failing_calls_tests", {"R7"}, "", "[.all]");
}

void add_tools(Steps& steps) {
    steps.plain("models", {"R1", "R3", "R10", "R11", "R15", "R16"}, kCtest + "model", kCtest + "model", "spin");
    steps.plain("cases kept from fuzzing", {"R3", "R6", "R12"}, kCtest + "fuzz", kCtest + "fuzz");
    steps.plain("fuzzers", {"R3", "R6", "R12"}, "tests/fuzz/run 5", "tests/fuzz/run 600", "clang++");
    steps.plain("memcheck", {"R3"}, "tests/memcheck/run", "tests/memcheck/run", "valgrind");
    // What they build takes longer than the quick form may. The times of a sanitized build are no figures.
    const std::string sanitized = "build/asan/tests/";
    steps.whole_only("address sanitizer", names(promises()), "tests/sanitized/run asan");
    steps.whole_only("damaged segments, sanitized", {"R3", "R6"},
                     sanitized + "larder_damage --mutants 10000 --seconds 3600");
    steps.whole_only("kills, sanitized", {"R1", "R2", "R3", "R15"}, sanitized + "larder_torture --kills 200");
    steps.whole_only("histories, sanitized", {"R1", "R3", "R9", "R11", "R16"},
                     sanitized + "larder_history --operations 100000");
    steps.whole_only("waits, sanitized", {"R4", "R5", "R10"}, sanitized + "larder_waits --rounds 20");
    steps.whole_only("thread sanitizer", {"R3"}, "tests/sanitized/run tsan");
    steps.whole_only("thread sanitizer of clang", {"R3"}, "tests/sanitized/run tsan-clang", "clang++");
    steps.whole_only("coverage", {}, "tests/coverage/run", "llvm-cov");
}

}  // namespace

std::vector<Step> steps(bool quick) {
    Steps steps(quick);
    add_harnesses(steps);
    add_cases(steps);
    add_tools(steps);
    return steps.all;
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
            promise("R9", "ms", "<=", test::latest_ms()),
            promise("R10", "ms", "<=", 20),
            promise("R11"),
            promise("R12"),
            promise("R13"),
            promise("R14"),
            promise("R15"),
            promise("R16")};
}

}  // namespace larder::prove
