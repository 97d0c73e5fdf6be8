// larder_prove: runs the harnesses of reliability and says which of the promises R1 to R16 hold.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

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

void print(const Promise& promise, const std::string& failed) {
    const char* const verdict = std::isnan(promise.measured)            ? "NOT MEASURED"
                                : holds(promise.goal, promise.measured) ? "holds"
                                                                        : "DOES NOT HOLD";
    std::printf("%-4s %10.3f %-12s goal %s %-6g %12lu samples  %s%s\n", promise.name.c_str(), promise.measured,
                promise.unit.c_str(), promise.goal.op.c_str(), promise.goal.value, promise.samples, verdict,
                failed.empty() ? "" : (", not passed: " + failed).c_str());
}

/// Those that are asked for. Throws std::runtime_error: an unknown name.
std::vector<Step> chosen_steps(const Settings& settings) {
    std::vector<Step> all = steps(settings.quick), chosen;
    std::string known;
    for (const Step& step : all) known += "\n  " + step.name;
    for (const std::string& name : settings.only) {
        const auto step = std::find_if(all.begin(), all.end(), [&](const Step& one) { return one.name == name; });
        if (step == all.end()) throw std::runtime_error("no step is named \"" + name + "\"; there are" + known);
        chosen.push_back(*step);
    }
    return settings.only.empty() ? all : chosen;
}

bool run_steps(Proof& proof, const std::vector<Step>& steps) {
    bool all_passed = true;
    for (const Step& step : steps) {
        std::printf("%-34s", step.name.c_str());
        std::fflush(stdout);
        const Outcome outcome = proof.run(step);
        if (!outcome.missing.empty()) {
            std::printf("   not run: needs %s\n", outcome.missing.c_str());
            continue;
        }
        std::printf(" %7.1f s  %s", static_cast<double>(outcome.time.count()) / 1e3,
                    outcome.passed ? "passed" : "FAILED");
        if (outcome.skipped != 0) std::printf(", %lu of its cases %s", outcome.skipped, test::kNeedsRoot);
        std::printf("\n");
        if (!outcome.passed) std::printf("%s\n%s\n", step.command.c_str(), outcome.log.c_str());
        all_passed = all_passed && outcome.passed;
    }
    return all_passed;
}

/// 0: every step passed and every promise holds; 1: not so. Throws std::runtime_error before the first step where the
/// settings are no good.
int prove(const Settings& settings) {
    const std::vector<Step> steps = chosen_steps(settings);
    std::ofstream file;
    if (!settings.promises.empty()) file.open(settings.promises);
    if (!file) throw std::runtime_error("cannot write to " + settings.promises);
    const test::ScopedDirectory scratch;
    if (!settings.logs.empty()) std::filesystem::create_directories(settings.logs);
    Proof proof(settings.logs.empty() ? scratch.path() : settings.logs);
    std::filesystem::current_path(LARDER_SOURCE_DIR);
    bool proved = run_steps(proof, steps);
    boost::json::array all;
    for (const Promise& promise : proof.promises()) {
        print(promise, proof.why(promise.name));
        proved = proved && holds(promise.goal, promise.measured);
        all.push_back(to_json(promise));
    }
    if (!settings.promises.empty()) {
        file << boost::json::serialize(all) << '\n';
        if (!file.flush()) throw std::runtime_error("cannot write to " + settings.promises);
    }
    return proved ? 0 : 1;
}

}  // namespace
}  // namespace larder::prove

int main(int argc, char** argv) try {
    CLI::App program("Proves the promises R1 to R16");
    larder::prove::Settings settings;
    program.add_flag("--quick", settings.quick, "The sizes of CI");
    program.add_option("--promises", settings.promises, "Write them all to this file, as a JSON array");
    program.add_option("--logs", settings.logs, "Keep what the steps print in this directory, a new one");
    program.add_option("--only", settings.only, "Steps by name; what they do not measure does not hold");
    CLI11_PARSE(program, argc, argv);
    if (!settings.logs.empty()) settings.logs = std::filesystem::absolute(settings.logs);
    return larder::prove::prove(settings);
} catch (const std::exception& error) {
    std::fprintf(stderr, "larder_prove: %s\n", error.what());
    return 2;
}
