// larder_compare: what Larder promises of speed, S1 to S12, measured beside the alternatives in one run.
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/machine.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/stage.hpp"
#include "bench/workload.hpp"

namespace larder::bench {
namespace {

namespace json = boost::json;

struct Settings {
    bool quick = false;
    std::string promises, json;
    std::vector<std::string> only;
    std::string command;
};

std::vector<Group> chosen_groups(const std::vector<std::string>& names) {
    if (names.empty()) return kGroups;
    std::vector<Group> chosen;
    for (const std::string& name : names) {
        const auto group =
            std::find_if(kGroups.begin(), kGroups.end(), [&](const Group& one) { return one.name == name; });
        if (group == kGroups.end()) throw std::runtime_error("no group is named " + name + " (--help lists them)");
        chosen.push_back(*group);
    }
    return chosen;
}

// A wish to stop ends the group that runs, and what it has started with it; what is left of it is then removed.
std::atomic<bool> is_stopped{false};
std::atomic<pid_t> running{0};
static_assert(std::atomic<pid_t>::is_always_lock_free);

void stop(int) {
    is_stopped = true;
    if (const pid_t pid = running; pid != 0) ::kill(pid, SIGTERM);
}

void set_signals(void (*on_stop)(int)) {
    struct sigaction action {};
    action.sa_handler = on_stop;
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

/// In a process of its own: its memory is given back at its end. False: it was not measured.
bool run_apart(const Group& group, Report& report) {
    fmt::print("\n{}: {}\n", group.name, group.shows);
    std::fflush(stdout);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        set_signals(SIG_DFL);
        if (::getppid() != parent || is_stopped) ::_exit(EXIT_FAILURE);
        int code = EXIT_SUCCESS;
        try {
            group.run(report);
        } catch (const std::exception& error) {
            fmt::print("      NOT MEASURED: {}\n", error.what());
            code = EXIT_FAILURE;
        }
        stage(0);  // gives up the files of the one in use
        std::fflush(stdout);
        ::_exit(code);
    }
    running = pid;
    if (is_stopped) ::kill(pid, SIGTERM);
    int status = 0;
    const bool ended = ::waitpid(pid, &status, 0) == pid;
    running = 0;
    if (ended && WIFSIGNALED(status)) fmt::print("      NOT MEASURED: ended by signal {}\n", WTERMSIG(status));
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

/// All of S1 to S12; what no group has measured has no samples.
std::vector<Promise> all_promises(const Report& report, const std::string& command) {
    const std::vector<Promise> goals = {
        {.name = "S1", .unit = "x", .goal = {"<=", 2}},         {.name = "S2", .unit = "x", .goal = {"<=", 1.15}},
        {.name = "S3", .unit = kOfTheGoal, .goal = {">=", 1}},  {.name = "S4", .unit = kOfTheGoal, .goal = {">=", 1}},
        {.name = "S5", .unit = "x", .goal = {">=", 1.9}},       {.name = "S6", .unit = "x", .goal = {"<=", 1.3}},
        {.name = "S7", .unit = "ns", .goal = {"<=", 250}},      {.name = "S8", .unit = kOfTheGoal, .goal = {">=", 1}},
        {.name = "S9", .unit = "ms", .goal = {"<=", 0.2}},      {.name = "S10", .unit = kOfTheGoal, .goal = {">=", 1}},
        {.name = "S11", .unit = "points", .goal = {"<=", 0.3}}, {.name = "S12", .unit = kOfTheGoal, .goal = {">=", 1}},
    };
    const std::vector<Promise> measured = report.promises();
    std::vector<Promise> all;
    for (Promise promise : goals) {
        const auto found = std::find_if(measured.begin(), measured.end(),
                                        [&](const Promise& one) { return one.name == promise.name; });
        promise.command = command;
        all.push_back(found != measured.end() ? *found : promise);
    }
    return all;
}

void write(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write to " + path);
}

json::array to_json(const std::vector<Promise>& promises) {
    json::array all;
    for (const Promise& promise : promises) all.push_back(larder::to_json(promise));
    return all;
}

json::object document(const Report& report, const std::vector<Promise>& promises, const Settings& settings) {
    json::array rows, versions;
    for (const Row& row : report.rows()) rows.push_back(to_json(row));
    for (const std::string& version : report.versions()) versions.emplace_back(version);
    return {{"machine", machine_text()},
            {"command", settings.command},
            {"peers", std::move(versions)},
            {"setup",
             {{"keys", kKeys},
              {"rounds", report.effort().rounds},
              {"samples", report.effort().samples},
              {"zipf_exponent", 0.99},
              {"loop", "closed, one reader, not bound to a processor; tails and many: open, bound"}}},
            {"rows", std::move(rows)},
            {"promises", to_json(promises)}};
}

void print(const std::vector<Promise>& promises) {
    fmt::print("\n{:<6}{:<22}{:<14}{:>9}  {}\n", "", "goal", "measured", "samples", "holds");
    for (const Promise& promise : promises) {
        if (promise.samples == 0) {
            fmt::print("{:<6}not measured\n", promise.name);
            continue;
        }
        fmt::print("{:<6}{:<22}{:<14}{:>9}  {}\n", promise.name,
                   fmt::format("{} {:g} {}", promise.goal.op, promise.goal.value, promise.unit),
                   fmt::format("{:.4g}", promise.measured), promise.samples,
                   holds(promise.goal, promise.measured) ? "yes" : "NO");
    }
}

int compare(const Settings& settings) {
    const std::vector<Group> groups = chosen_groups(settings.only);
    for (const std::string& path : {settings.promises, settings.json})
        if (!path.empty() && !std::ofstream(path, std::ios::app)) throw std::runtime_error("cannot write to " + path);
    const auto remove = [](const std::string* path) {
        std::error_code ignored;
        std::filesystem::remove_all(*path, ignored);
    };
    const std::string directory = make_directory();
    const std::unique_ptr<const std::string, decltype(remove)> guard(&directory, remove);
    make_directories_in(directory);
    set_signals(stop);
    Report report(directory, settings.quick ? kQuick : Effort{}, settings.command);
    fmt::print("{}\n", machine_text());
    std::string missing;
    for (const Group& group : groups) {
        if (!run_apart(group, report)) missing += std::string(" ") + group.name;
        if (is_stopped) return 128 + SIGINT;
    }
    const std::vector<Promise> promises = all_promises(report, settings.command);
    print(promises);
    if (!settings.json.empty()) write(settings.json, json::serialize(document(report, promises, settings)));
    if (!settings.promises.empty()) write(settings.promises, json::serialize(to_json(promises)));
    if (missing.empty()) return 0;
    fmt::print("not measured to their end:{}\n", missing);
    return 3;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) try {
    using namespace larder::bench;
    CLI::App program("Measures the promises S1 to S12 beside the alternatives");
    Settings settings;
    std::string groups;
    for (const Group& group : kGroups) groups += fmt::format("\n  {:<12}{}", group.name, group.shows);
    program.add_flag("--quick", settings.quick, "Fewer rounds and samples: under 5 minutes");
    program.add_option("--promises", settings.promises, "Write S1 to S12 to this file, as a JSON array");
    program.add_option("--json", settings.json, "Write everything to this file, each round too");
    program.add_option("--only", settings.only, "Groups by name");
    program.footer(
        "Groups:" + groups +
        "\n\nExit codes: 130 stopped, 0 measured, whether or not a promise holds, 2 usage, 3 a value was wrong or a "
        "group could not run");
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.exit(error) == 0 ? 0 : 2;
    }
    settings.command = settings.quick ? "tools/bench --quick" : "tools/bench";
    if (!settings.only.empty()) settings.command += " --only";
    for (const std::string& name : settings.only) settings.command += " " + name;
    std::signal(SIGPIPE, SIG_IGN);  // a server that ends is an error of its group's
    return compare(settings);
} catch (const std::exception& error) {
    std::fprintf(stderr, "larder_compare: %s\n", error.what());
    return 2;
}
