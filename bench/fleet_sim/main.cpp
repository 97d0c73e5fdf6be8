// larder_fleet_sim: fleets of 10 to 10,000 hosts that no machine here holds, simulated with costs that were measured.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/fleet_sim/report.hpp"

namespace larder::bench::sim {
namespace {

namespace json = boost::json;

struct Settings {
    std::string costs = LARDER_SOURCE_DIR "/bench/fleet_sim/costs.json", json;
    std::vector<std::uint32_t> hosts{10, 100, 1'000, 10'000};
    std::vector<double> changes{1, 10, 100}, views{20};
    std::vector<std::string> modes{"outbox", "stream"}, tiers{"off", "on"};
    double compute_ms = 0;
    bool limits = false, no_table = false, apart = false, plain = false;
    std::uint32_t most_hosts = 20'000;
    Scenario scenario;
};

void add_options(CLI::App& app, Settings& settings) {
    Scenario& scenario = settings.scenario;
    app.add_option("--costs", settings.costs, "measured costs (larder_fleet_costs writes them)")->capture_default_str();
    app.add_option("--hosts", settings.hosts, "hosts of the fleet")
        ->delimiter(',')
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--changes", settings.changes, "changes a second in the fleet")
        ->delimiter(',')
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app.add_option("--views", settings.views, "views a second at each host")
        ->delimiter(',')
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--modes", settings.modes, "outbox, stream")
        ->delimiter(',')
        ->check(CLI::IsMember({"outbox", "stream"}));
    app.add_option("--tiers", settings.tiers, "second tier: off, on; on with the stream alone")
        ->delimiter(',')
        ->check(CLI::IsMember({"off", "on"}));
    app.add_option("--assignments", scenario.assignments)->check(CLI::Range(1, 1'000'000))->capture_default_str();
    app.add_option("--seconds", scenario.measured_s, "simulated and measured, after 3 seconds that are not")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--compute-ms", settings.compute_ms, "of the database's processor for a document (else as measured)")
        ->check(CLI::PositiveNumber);
    app.add_flag("--apart", settings.apart, "changes are popular with other assignments than views are");
    app.add_flag("--plain", settings.plain, "notices go to subscribers of the subject, not to ordered consumers");
    app.add_flag("--every-view", scenario.every_view, "each view is an event (slow)");
    app.add_option("--seed", scenario.seed)->capture_default_str();
    app.add_flag("--limits", settings.limits, "find how many hosts each mode carries, too");
    app.add_flag("--no-table", settings.no_table, "nothing but the limits")->needs("--limits");
    app.add_option("--most-hosts", settings.most_hosts, "that are tried for a limit")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--json", settings.json, "a file for all of it");
}

/// Calls use(scenario) for each combination; documents are shared by hosts that have NATS, alone.
template <class Use>
void for_each_load(const Settings& settings, Use&& use) {
    Scenario scenario = settings.scenario;
    for (const double changes : settings.changes)
        for (const double views : settings.views)
            for (const std::string& mode : settings.modes)
                for (const std::string& tier : settings.tiers) {
                    scenario.changes_per_s = changes;
                    scenario.views_per_s = views;
                    scenario.mode = mode == "outbox" ? Mode::outbox : Mode::stream;
                    scenario.has_second_tier = tier == "on";
                    if (scenario.has_second_tier && scenario.mode == Mode::outbox) continue;
                    use(scenario);
                }
}

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

void run_table(const Settings& settings, const Costs& costs, json::array& rows) {
    if (settings.no_table) return;
    print(table_head());
    for (const std::uint32_t hosts : settings.hosts)
        for_each_load(settings, [&](Scenario scenario) {
            scenario.hosts = hosts;
            const FleetResult result = simulate(scenario, costs);
            print(table_row(result));
            rows.push_back(to_json(result));
        });
}

void run_limits(const Settings& settings, const Costs& costs, json::array& rows) {
    if (!settings.limits) return;
    print(limits_head());
    for_each_load(settings, [&](Scenario scenario) {
        scenario.warm_up_s = 1;
        scenario.measured_s = 5;
        const Limit limit = find_limit(scenario, costs, settings.most_hosts);
        print(limits_row(limit));
        rows.push_back(to_json(limit));
    });
}

int run(int argc, char** argv) {
    Settings settings;
    CLI::App app("Simulates fleets of hosts with measured costs.", "larder_fleet_sim");
    add_options(app, settings);
    CLI11_PARSE(app, argc, argv);
    settings.scenario.changes_where_viewed = !settings.apart;
    Costs costs = read_costs(settings.costs);
    if (settings.compute_ms > 0) costs.compute_us = settings.compute_ms * 1e3;
    if (settings.plain) costs.deliver_us = costs.deliver_plain_us;
    json::array rows;
    run_table(settings, costs, rows);
    run_limits(settings, costs, rows);
    if (rows.empty()) throw std::runtime_error("nothing to simulate: the second tier goes with the stream alone");
    if (settings.json.empty()) return 0;
    std::ofstream file(settings.json);
    file << "{\"compute_us\": " << costs.compute_us << ", \"rows\": [\n";
    for (std::size_t n = 0; n < rows.size(); ++n)
        file << json::serialize(rows[n]) << (n + 1 < rows.size() ? ",\n" : "\n");
    file << "]}\n";
    if (!file.flush()) throw std::runtime_error("cannot write to " + settings.json);
    return 0;
}

}  // namespace
}  // namespace larder::bench::sim

int main(int argc, char** argv) {
    try {
        return larder::bench::sim::run(argc, argv);
    } catch (const std::exception& error) {
        std::fputs(fmt::format("larder_fleet_sim: {}\n", error.what()).c_str(), stderr);
        return 1;
    }
}
