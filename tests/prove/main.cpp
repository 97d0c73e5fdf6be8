// larder_prove: runs the harnesses of reliability and says which of the promises R1 to R16 hold.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/prove/proof.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/skipped.hpp"

namespace larder::prove {
namespace {

struct Settings {
    bool quick = false;
    std::string promises, logs;
    std::vector<std::string> only;
};

void print(const Promise& promise) {
    const char* const verdict = std::isnan(promise.measured)            ? "NOT MEASURED"
                                : holds(promise.goal, promise.measured) ? "holds"
                                                                        : "DOES NOT HOLD";
    std::printf("%-4s %10.3f %-12s goal %s %-6g %12lu samples  %s\n", promise.name.c_str(), promise.measured,
                promise.unit.c_str(), promise.goal.op.c_str(), promise.goal.value, promise.samples, verdict);
}

bool write(const std::vector<Promise>& promises, const std::string& path) {
    boost::json::array all;
    for (const Promise& promise : promises) all.push_back(to_json(promise));
    std::ofstream file(path);
    file << boost::json::serialize(all) << '\n';
    return static_cast<bool>(file.flush());
}

bool run_steps(Proof& proof, const Settings& settings) {
    bool all_passed = true;
    for (const Step& step : steps()) {
        const bool wanted = settings.only.empty() ||
                            std::find(settings.only.begin(), settings.only.end(), step.name) != settings.only.end();
        if (!wanted || (settings.quick && step.quick.empty())) continue;
        std::printf("%-34s", step.name.c_str());
        std::fflush(stdout);
        const Outcome outcome = proof.run(step);
        std::printf(" %7.1f s  %s", static_cast<double>(outcome.time.count()) / 1e3,
                    outcome.passed ? "passed" : "FAILED");
        if (outcome.skipped != 0) std::printf(", %lu of its cases %s", outcome.skipped, test::kNeedsRoot);
        std::printf("\n");
        if (!outcome.passed)
            std::printf("%s\n%s\n", (settings.quick ? step.quick : step.whole).c_str(), outcome.log.c_str());
        all_passed = all_passed && outcome.passed;
    }
    return all_passed;
}

/// 0: every step passed and every promise holds; 1: not so.
int prove(const Settings& settings) {
    const test::ScopedDirectory scratch;
    if (!settings.logs.empty()) std::filesystem::create_directories(settings.logs);
    Proof proof(settings.logs.empty() ? scratch.path() : settings.logs, settings.quick);
    bool proved = run_steps(proof, settings);
    const std::vector<Promise> promises = proof.promises();
    for (const Promise& promise : promises) {
        print(promise);
        proved = proved && holds(promise.goal, promise.measured);
    }
    if (!settings.promises.empty() && !write(promises, settings.promises)) {
        std::fprintf(stderr, "larder_prove: cannot write to %s\n", settings.promises.c_str());
        return 3;
    }
    return proved ? 0 : 1;
}

}  // namespace
}  // namespace larder::prove

int main(int argc, char** argv) {
    CLI::App program("Proves the promises R1 to R16; run it from the root of the tree");
    larder::prove::Settings settings;
    program.add_flag("--quick", settings.quick, "The sizes of CI");
    program.add_option("--promises", settings.promises, "Write them all to this file, as a JSON array");
    program.add_option("--logs", settings.logs, "Keep what the steps print in this directory, a new one");
    program.add_option("--only", settings.only, "Steps by name; what they do not measure does not hold");
    CLI11_PARSE(program, argc, argv);
    return larder::prove::prove(settings);
}
