#include "tests/prove/proof.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/child_process.hpp"
#include "tests/support/skipped.hpp"

namespace larder::prove {
namespace {

constexpr std::chrono::hours kLongest{3};
constexpr std::size_t kLogBytes = 2'000;

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// As a shell would; the log gets both its streams.
bool run_command(const std::string& command, const std::string& log) {
    auto child = test::ChildProcess::start([&](test::Channel&) {
        return std::freopen(log.c_str(), "w", stdout) != nullptr && ::dup2(STDOUT_FILENO, STDERR_FILENO) >= 0
                   ? ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr)
                   : 72;
    });
    return child.wait(kLongest).exited_with(0);
}

struct Cases {
    std::uint64_t held = 0, failed = 0, skipped = 0;
};

/// From what Catch2 writes as XML. A case that did not end, since the program died in it, has failed.
Cases cases_of(const std::string& report) {
    static constexpr char kBegin[] = "<TestCase ", kHeld[] = "<OverallResult success=\"true\"";
    Cases cases;
    for (std::size_t begin = report.find(kBegin), end = 0; begin != std::string::npos; begin = end) {
        end = report.find(kBegin, begin + 1);
        const std::string one = report.substr(begin, end - begin);
        if (one.find(kHeld) == std::string::npos)
            ++cases.failed;
        else
            ++(one.find(test::kNeedsRoot) != std::string::npos ? cases.skipped : cases.held);
    }
    return cases;
}

}  // namespace

Proof::Proof(std::string directory, bool quick) : directory_(std::move(directory)), quick_(quick) {}

/// Returns how many were skipped: they have proved nothing, as no case at all.
std::uint64_t Proof::count_cases(const Step& step, const std::string& report) const {
    const Cases cases = cases_of(text_of(report));
    if (cases.held + cases.failed != 0)
        append_promise(directory_ + "/promises", {step.promise,
                                                  "violations",
                                                  {"==", 0},
                                                  static_cast<double>(cases.failed),
                                                  cases.held + cases.failed,
                                                  {static_cast<double>(cases.failed)},
                                                  step.quick});
    return cases.skipped;
}

Outcome Proof::run(const Step& step) {
    std::string file = step.name;
    std::replace(file.begin(), file.end(), ' ', '-');
    const std::string log = directory_ + "/" + file + ".log", report = directory_ + "/" + file + ".xml";
    std::string command = quick_ ? step.quick : step.whole;
    if (step.kind == Kind::harness) command += " --promises " + directory_ + "/promises";
    if (step.kind == Kind::cases) command += " -r xml -o " + report;
    const auto started = std::chrono::steady_clock::now();
    Outcome outcome{step.name};
    outcome.passed = run_command(command, log);
    outcome.time = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
    if (step.kind == Kind::cases) outcome.skipped = count_cases(step, report);
    if (!outcome.passed) {
        outcome.log = text_of(log);
        outcome.log.erase(0, outcome.log.size() - std::min(outcome.log.size(), kLogBytes));
    }
    return outcome;
}

std::vector<Promise> Proof::promises() const {
    std::vector<Promise> all = prove::promises();
    if (!std::filesystem::exists(directory_ + "/promises")) return all;
    for (const Promise& measured : read_promises(directory_ + "/promises")) {
        const auto asked =
            std::find_if(all.begin(), all.end(), [&](const Promise& one) { return one.name == measured.name; });
        if (asked == all.end()) throw std::runtime_error("no such promise: " + measured.name);
        if (asked->unit != measured.unit || asked->goal.op != measured.goal.op ||
            asked->goal.value != measured.goal.value)
            throw std::runtime_error("another goal than that of " + measured.name);
        *asked = measured;
    }
    return all;
}

}  // namespace larder::prove
