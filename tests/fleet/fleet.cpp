// The promise of a fleet, from outside: hosts, a database and nats-servers on one machine, in network namespaces;
// things go wrong, and nobody may be served an answer that is staler than is promised, nor miss a commit for good.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "tests/fleet/report.hpp"
#include "tests/fleet/sandbox.hpp"
#include "tests/fleet/trial.hpp"
#include "tests/support/harness.hpp"

namespace larder::fleet {
namespace {

constexpr int kSkipped = 77;

struct Arguments {
    Settings settings;
    std::vector<std::string> only;
    std::string json;
    std::string command;  ///< all of them, as they were given
    bool lists = false;

    /// How many cases are wanted, and can be had.
    std::size_t matches(bool with_nats) const {
        std::size_t count = wants(kManyCommits) ? 1 : 0;
        for (const Case& one : all_cases()) count += wants(one.name) && (with_nats || !one.needs_nats) ? 1 : 0;
        return count;
    }
    bool wants(const std::string& name) const {
        return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
    }
};

int skip(const std::string& why) {
    std::printf("skipped: %s\n", why.c_str());
    return kSkipped;
}

std::string what_is_missing(const Abilities& wanted) {
    for (const std::string& missing : {missing_network_programs(), Database::missing_programs(),
                                       wanted.uses_nats ? NatsCluster::missing_programs() : std::string()})
        if (!missing.empty()) return "no " + missing + ": tools/setup --fleet";
    return {};
}

/// What is asked for, of what the program can do.
Abilities abilities_of(const Abilities& wanted) {
    Abilities abilities = Abilities::of(wanted.program);
    abilities.degraded_after_ms = wanted.degraded_after_ms;
    abilities.max_stale_ms = wanted.max_stale_ms;
    abilities.uses_nats = wanted.uses_nats || wanted.uses_tier;
    abilities.uses_tier = wanted.uses_tier;
    if ((abilities.uses_nats && !abilities.has_nats) || (abilities.uses_tier && !abilities.has_tier))
        throw std::runtime_error(wanted.program + " cannot do that yet");
    return abilities;
}

int run(Arguments arguments) {
    Settings& settings = arguments.settings;
    settings.abilities = abilities_of(settings.abilities);
    make_bridge();
    std::vector<Result> results;
    const auto add = [&](Result result) {
        print_result(result);
        results.push_back(std::move(result));
    };
    if (arguments.matches(settings.abilities.uses_nats) == 0)
        throw std::runtime_error("no such case (--list), or one that needs --nats");
    print_heading();
    for (const Case& one : all_cases())
        if (arguments.wants(one.name) && (settings.abilities.uses_nats || !one.needs_nats)) add(play(one, settings));
    if (arguments.wants(kManyCommits)) add(play_many_commits(settings));
    if (!arguments.json.empty()) write_json(arguments.json, settings, results);
    std::size_t broken = 0;
    for (const Result& result : results) broken += result.broken.size();
    std::printf("%zu cases, %zu promises broken\n", results.size(), broken);
    return broken == 0 && !results.empty() ? 0 : 1;
}

void list_cases() {
    for (const Case& one : all_cases()) std::printf("%-20s %s\n", one.name, one.what);
    std::printf("%-20s many commits, each looked for at each host\n", kManyCommits);
}

int run_in_private(const Arguments& arguments) {
    if (arguments.lists) return list_cases(), 0;
    const std::string missing = what_is_missing(arguments.settings.abilities);
    if (!missing.empty()) return skip(missing);
    std::string why;
    const auto inside = [&arguments] {
        const int code = test::run_harness(arguments.command, [&] { return run(arguments); });
        std::fflush(nullptr);  // the child ends without
        return code;
    };
    const int code = run_in_sandbox(inside, why);
    return code < 0 ? skip(why) : code;
}

}  // namespace
}  // namespace larder::fleet

int main(int argc, char** argv) {
    CLI::App program("Breaks a fleet's network, servers and processes, and checks from outside what its hosts serve");
    larder::fleet::Arguments arguments;
    larder::fleet::Settings& settings = arguments.settings;
    settings.abilities.program = LARDER_BINARY;
    const std::map<std::string, int> units{{"ms", 1}, {"s", 1'000}};
    program.add_flag("--list", arguments.lists, "The cases");
    program.add_option("--only", arguments.only, "A case; may be given again");
    program.add_option("--hosts", settings.hosts, "How many")->capture_default_str()->check(CLI::Range(1, 200));
    program.add_option("--seconds", settings.seconds, "How long a fault lasts")->capture_default_str();
    program.add_option("--commits", settings.commits, "Of the case many-commits")->capture_default_str();
    program.add_option("--seed", settings.seed, "Of the writers' pauses")->capture_default_str();
    program.add_option("--goal-ms", settings.goal_ms, "p99 in calm of how long old versions are seen; 0: none")
        ->capture_default_str();
    program.add_flag("--careless", settings.is_careless, "No trigger tells of assignment 1: that must be found");
    program.add_flag("--nats", settings.abilities.uses_nats, "Notices go through NATS");
    program.add_flag("--tier", settings.abilities.uses_tier, "Documents are shared through NATS, too");
    program.add_option("--degraded-after", settings.abilities.degraded_after_ms, "H, as 2s or 500ms")
        ->transform(CLI::AsNumberWithUnit(units))
        ->default_str("2s");
    program.add_option("--max-stale", settings.abilities.max_stale_ms, "As 0s or 500ms")
        ->transform(CLI::AsNumberWithUnit(units))
        ->default_str("0s");
    program.add_option("--larder", settings.abilities.program, "The program")->capture_default_str();
    program.add_option("--logs", settings.logs, "A directory for what hosts and the database say")
        ->check(CLI::ExistingDirectory);
    program.add_option("--json", arguments.json, "A file for all figures");
    CLI11_PARSE(program, argc, argv);
    for (int n = 0; n < argc; ++n) arguments.command += (n == 0 ? "" : " ") + std::string(argv[n]);
    return larder::fleet::run_in_private(arguments);
}
