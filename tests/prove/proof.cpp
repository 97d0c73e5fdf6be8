#include "tests/prove/proof.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/child_process.hpp"
#include "tests/support/skipped.hpp"

namespace larder::prove {
namespace {

constexpr std::size_t kLogBytes = 2'000;

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// For a shell.
std::string quoted(const std::string& word) {
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

/// Of the step that runs. 0: none.
std::atomic<pid_t> running_group{0};

void end(int signal) {
    if (running_group > 0) ::kill(-running_group, SIGKILL);
    ::_exit(128 + signal);
}

/// As a shell would, in a group of its own; the log gets both its streams.
test::Ending run_command(const std::string& command, const std::string& log, std::chrono::milliseconds longest) {
    auto child = test::ChildProcess::start([&](test::Channel&) {
        return ::setpgid(0, 0) == 0 && std::freopen(log.c_str(), "w", stdout) != nullptr &&
                       ::dup2(STDOUT_FILENO, STDERR_FILENO) >= 0
                   ? ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr)
                   : 72;
    });
    running_group = child.pid();
    const test::Ending ending = child.wait(longest);
    const pid_t group = running_group.exchange(0);
    if (!ending.in_time) ::kill(-group, SIGKILL);
    return ending;
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

std::uint64_t count(const std::string& text, const std::string& part) {
    std::uint64_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

bool is_installed(const std::string& program) {
    return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

/// Nothing measured yet.
Promise asked(const std::string& name) {
    for (Promise& one : promises())
        if (one.name == name) return std::move(one);
    throw std::runtime_error("no such promise: " + name);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Proof::Proof(std::string directory, std::chrono::milliseconds longest)
    : directory_(std::move(directory)), figures_(directory_ + "/promises"), longest_(longest) {
    if (!std::filesystem::is_empty(directory_))
        throw std::runtime_error(directory_ + " is not empty, and what is in it would count: name a new directory");
}

std::string Proof::file(const Step& step, const char* ending) const {
    std::string name = step.name;
    std::replace(name.begin(), name.end(), ' ', '-');
    return directory_ + "/" + name + ending;
}

/// Returns how many were skipped: they have proved nothing, as no case at all.
std::uint64_t Proof::count_cases(const Step& step) const {
    const Cases cases = cases_of(text_of(file(step, ".xml")));
    if (cases.held + cases.failed == 0) return cases.skipped;
    Promise counted = asked(step.measures.at(0));
    counted.measured = static_cast<double>(cases.failed);
    counted.samples = cases.held + cases.failed;
    counted.rounds = {counted.measured};
    counted.command = step.command;
    append_promise(file(step, ".promises"), counted);
    return cases.skipped;
}

/// Those of the step join those of the others. Returns what is wrong with what it measured, or "".
std::string Proof::keep_figures(const Step& step, bool passed) {
    std::string wrong;
    std::vector<std::string> told, broken;
    if (std::filesystem::exists(file(step, ".promises")))
        for (const Promise& one : read_promises(file(step, ".promises"))) {
            append_promise(figures_, one);
            told.push_back(one.name);
            if (!holds(one.goal, one.measured)) broken.push_back(one.name);
            if (!has(step.measures, one.name)) wrong += "measured " + one.name + ", which it is not known to show\n";
        }
    for (const std::string& name : step.measures)
        if (step.kind == Kind::harness && !has(told, name)) wrong += "did not measure " + name + "\n";
    if (!passed || !wrong.empty()) break_promises(step, broken);
    return wrong;
}

/// None of the step's promises holds: what it measured stays if that says so, too.
void Proof::break_promises(const Step& step, const std::vector<std::string>& broken) {
    for (const auto* const names : {&step.measures, &step.checks})
        for (const std::string& name : *names) {
            failed_[name] += (failed_[name].empty() ? "" : ", ") + step.name;
            Promise nothing = asked(name);
            nothing.command = step.command;
            if (!has(broken, name)) append_promise(figures_, nothing);
        }
}

Outcome Proof::run(const Step& step) {
    Outcome outcome;
    if (!step.needs.empty() && !is_installed(step.needs)) {
        outcome.missing = step.needs;
        if (step.required) break_promises(step, {});
        return outcome;
    }
    std::string command = step.command;
    if (step.kind == Kind::harness) command += " --promises " + quoted(file(step, ".promises"));
    if (step.kind == Kind::cases) command += " -r xml -o " + quoted(file(step, ".xml"));
    const std::string log = file(step, ".log");
    const auto started = std::chrono::steady_clock::now();
    const test::Ending ending = run_command(command, log, longest_);
    outcome.time = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
    outcome.skipped = step.kind == Kind::cases ? count_cases(step) : count(text_of(log), test::kNeedsRoot);
    const std::string wrong = keep_figures(step, ending.exited_with(0));
    outcome.passed = ending.exited_with(0) && wrong.empty();
    if (!outcome.passed) {
        outcome.log = text_of(log);
        outcome.log.erase(0, outcome.log.size() - std::min(outcome.log.size(), kLogBytes));
        if (!ending.in_time) outcome.log += "killed after " + std::to_string(longest_.count() / 1000) + " s\n";
        outcome.log += wrong + "all of it: " + log + "\n";
    }
    return outcome;
}

std::vector<Promise> Proof::promises() const {
    std::vector<Promise> all = prove::promises();
    if (!std::filesystem::exists(figures_)) return all;
    for (const Promise& measured : read_promises(figures_)) {
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

std::string Proof::why(const std::string& promise) const {
    const auto steps = failed_.find(promise);
    return steps == failed_.end() ? std::string() : steps->second;
}

void end_steps_with_us() {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, end);
}

}  // namespace larder::prove
