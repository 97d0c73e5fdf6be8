// larder_prove: runs the harnesses of reliability and says which of the promises R1 to R16 hold.
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/prove/proof.hpp"
#include "tests/support/skipped.hpp"

namespace larder::prove {
namespace {

struct Settings {
    bool quick = false;
    std::string promises, logs;
    std::vector<std::string> only;
};

/// `failed`: the steps that did not pass. What others measured is shown beside them, at its worst: goals are upper
/// bounds.
void print(const Promise& promise, const std::string& failed) {
    std::printf("%-4s ", promise.name.c_str());
    double measured = promise.measured;
    if (std::isnan(measured) && !promise.rounds.empty())
        measured = *std::max_element(promise.rounds.begin(), promise.rounds.end());
    if (std::isnan(measured))
        std::printf("%10s %-12s", "-", promise.unit.c_str());
    else
        std::printf("%10.3f %-12s", measured, promise.unit.c_str());
    std::printf(" goal %s %-6g %12lu samples  ", promise.goal.op.c_str(), promise.goal.value, promise.samples);
    if (!failed.empty())
        std::printf("NOT PROVED: %s failed\n", failed.c_str());
    else if (std::isnan(promise.measured))
        std::printf("NOT MEASURED\n");
    else
        std::printf("%s\n", holds(promise.goal, promise.measured) ? "holds" : "DOES NOT HOLD");
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

/// Names of steps, with ", " between them.
struct Verdict {
    std::string failed, not_run;
};

void add(std::string& names, const std::string& name) { names += (names.empty() ? "" : ", ") + name; }

Verdict run_steps(Proof& proof, const std::vector<Step>& steps) {
    Verdict verdict;
    for (const Step& step : steps) {
        std::printf("%-34s", step.name.c_str());
        std::fflush(stdout);
        const Outcome outcome = proof.run(step);
        if (!outcome.missing.empty()) {
            std::printf("   not run: needs %s\n", outcome.missing.c_str());
            add(step.required ? verdict.failed : verdict.not_run, step.name);
            continue;
        }
        std::printf(" %7.1f s  %s", static_cast<double>(outcome.time.count()) / 1e3,
                    outcome.passed ? "passed" : "FAILED");
        if (outcome.skipped != 0) std::printf(", %lu of its cases %s", outcome.skipped, test::kNeedsRoot);
        std::printf("\n");
        if (outcome.passed) continue;
        std::printf("%s\n%s\n", step.command.c_str(), outcome.log.c_str());
        add(verdict.failed, step.name);
    }
    return verdict;
}

/// Names of those that do not hold.
std::string print_promises(const Proof& proof) {
    std::string broken;
    for (const Promise& promise : proof.promises()) {
        print(promise, proof.why(promise.name));
        if (!holds(promise.goal, promise.measured)) add(broken, promise.name);
    }
    return broken;
}

/// A new directory, which stays if anything failed.
std::string make_logs() {
    std::string path = std::filesystem::temp_directory_path() / "larder-prove-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
    return path;
}

/// 0: every step passed and every promise holds; 1: not so. Throws std::runtime_error before the first step where the
/// settings are no good.
int prove(const Settings& settings) {
    const std::vector<Step> steps = chosen_steps(settings);
    std::ofstream file;
    if (!settings.promises.empty()) file.open(settings.promises);
    if (!file) throw std::runtime_error("cannot write to " + settings.promises);
    if (!settings.logs.empty()) std::filesystem::create_directories(settings.logs);
    const std::string logs = settings.logs.empty() ? make_logs() : settings.logs;
    Proof proof(logs);
    end_steps_with_us();
    std::filesystem::current_path(LARDER_SOURCE_DIR);
    const Verdict verdict = run_steps(proof, steps);
    const std::string broken = print_promises(proof);
    if (!settings.promises.empty()) {
        boost::json::array all;
        for (const Promise& promise : proof.promises()) all.push_back(to_json(promise));
        file << boost::json::serialize(all) << '\n';
        if (!file.flush()) throw std::runtime_error("cannot write to " + settings.promises);
    }
    const bool proved = verdict.failed.empty() && broken.empty();
    std::printf("%s", proved ? "PROVED" : "NOT PROVED");
    if (!verdict.failed.empty()) std::printf("; failed: %s", verdict.failed.c_str());
    if (!broken.empty()) std::printf("; do not hold: %s", broken.c_str());
    if (!verdict.not_run.empty()) std::printf("; not run: %s", verdict.not_run.c_str());
    std::printf("\n");
    if (proved && settings.logs.empty()) std::filesystem::remove_all(logs);
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
