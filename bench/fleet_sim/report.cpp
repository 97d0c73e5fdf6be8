#include "bench/fleet_sim/report.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>

namespace larder::bench::sim {
namespace {

namespace json = boost::json;

constexpr double full = 0.98;  // busy for that share: it cannot do what it is asked

const char* tier(const Scenario& scenario) { return scenario.has_second_tier ? "yes" : "no"; }

json::object to_json(const Delays& delays) {
    return {{"p50_ms", delays.quantile_s(0.5) * 1e3},
            {"p99_ms", delays.quantile_s(0.99) * 1e3},
            {"max_ms", delays.longest_s() * 1e3},
            {"count", delays.count()}};
}

/// The upper end of each cell that is not empty, in ms, and how many lie in it.
json::array cells_of(const Delays& delays) {
    json::array cells;
    for (std::size_t cell = 0; cell < Delays::cells; ++cell)
        if (delays.count(cell) != 0) cells.push_back(json::array{Delays::upper_end_s(cell) * 1e3, delays.count(cell)});
    return cells;
}

json::object to_json(const char* group, const Scenario& scenario) {
    return {{"group", group},
            {"hosts", scenario.hosts},
            {"assignments", scenario.assignments},
            {"changes_per_s", scenario.changes_per_s},
            {"views_per_s", scenario.views_per_s},
            {"mode", std::string(name_of(scenario.mode))},
            {"second_tier", scenario.has_second_tier},
            {"measured_s", scenario.measured_s},
            {"seed", scenario.seed}};
}

}  // namespace

std::string table_head() {
    return fmt::format("{:>6} {:>9} {:>7} {:<7}{:<5}{:>10} {:>10} {:>9} {:>9} {:>10} {:>25} {:>7}  {}\n", "hosts",
                       "changes/s", "views/s", "mode", "tier", "computed/s", "a change", "looks/s", "notices/s",
                       "messages/s", "stale ms: p50  p99   max", "hits", "busiest");
}

std::string table_row(const FleetResult& result) {
    const Scenario& scenario = result.scenario;
    const EngineResult& busiest = result.busiest();
    const EngineResult& database = result.engines.front();
    std::string engines = fmt::format("{} {:.1f} %", busiest.name, busiest.busy_share * 100);
    if (&busiest != &database) engines += fmt::format(", database {:.1f} %", database.busy_share * 100);
    if (busiest.busy_share > full || result.refused_per_s > 0)
        engines += fmt::format("  SATURATED, {:.0f} views/s refused", result.refused_per_s);
    return fmt::format(
        "{:>6} {:>9g} {:>7g} {:<7}{:<5}{:>10.1f} {:>10.2f} {:>9.0f} {:>9.1f} {:>10.0f} {:>13.1f} {:>5.1f} {:>5.0f} "
        "{:>6.2f}%  {}\n",
        scenario.hosts, scenario.changes_per_s, scenario.views_per_s, name_of(scenario.mode), tier(scenario),
        result.computations_per_s, result.computations_per_change(), result.looks_per_s, result.notices_per_s,
        result.deliveries_per_s, result.staleness.quantile_s(0.5) * 1e3, result.staleness.quantile_s(0.99) * 1e3,
        result.staleness.longest_s() * 1e3, result.hit_ratio * 100, engines);
}

json::object to_json(const FleetResult& result) {
    json::object row = to_json("fleet", result.scenario);
    json::array engines;
    for (const EngineResult& engine : result.engines)
        engines.push_back(
            json::object{{"name", engine.name}, {"busy_share", engine.busy_share}, {"refused", engine.refused}});
    row["computations_per_s"] = result.computations_per_s;
    row["computations_per_change"] = result.computations_per_change();
    row["taken_per_s"] = result.taken_per_s;
    row["looks_per_s"] = result.looks_per_s;
    row["notices_per_s"] = result.notices_per_s;
    row["deliveries_per_s"] = result.deliveries_per_s;
    row["hit_ratio"] = result.hit_ratio;
    row["refused_per_s"] = result.refused_per_s;
    row["staleness"] = to_json(result.staleness);
    row["staleness_cells_ms"] = cells_of(result.staleness);
    row["answers"] = to_json(result.answers);
    row["fills"] = to_json(result.fills);
    row["engines"] = std::move(engines);
    row["busiest"] = result.busiest().name;
    row["events"] = result.events;
    row["took_s"] = result.took_s;
    return row;
}

std::string limits_head() {
    return fmt::format("\nthe most hosts with every engine below {:.0f} % busy\n{:>9} {:>7} {:<7}{:<5}{:>7}  {}\n",
                       most_busy * 100, "changes/s", "views/s", "mode", "tier", "hosts", "then full");
}

std::string limits_row(const Limit& limit) {
    const Scenario& scenario = limit.scenario;
    return fmt::format(
        "{:>9g} {:>7g} {:<7}{:<5}{:>7}  {}\n", scenario.changes_per_s, scenario.views_per_s, name_of(scenario.mode),
        tier(scenario), fmt::format("{}{}", limit.is_beyond ? "> " : "", scenario.hosts),
        limit.is_beyond ? fmt::format("({} {:.0f} %)", limit.engine, limit.busy_share * 100) : limit.engine);
}

json::object to_json(const Limit& limit) {
    json::object row = to_json("fleet limit", limit.scenario);
    row["is_beyond"] = limit.is_beyond;
    row["engine"] = limit.engine;
    row["busy_share"] = limit.busy_share;
    return row;
}

}  // namespace larder::bench::sim
