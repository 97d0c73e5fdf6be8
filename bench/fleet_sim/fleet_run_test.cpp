// Whole simulations: against closed forms where there are some, and against one in which every view is an event.
#include "bench/fleet_sim/fleet_run.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <fstream>

#include "bench/fleet_sim/limits.hpp"
#include "bench/fleet_sim/report.hpp"

using namespace larder::bench::sim;

namespace {

/// Engines that nobody waits for.
Costs cheap() {
    Costs costs;
    for (const CostName& one : cost_names()) costs.*one.value = 1;
    costs.compute_us = 10;
    costs.database_processors = 8;
    costs.nats_processors = 4;
    costs.nats_servers = 3;
    return costs;
}

constexpr double change_rate = 0.2, view_rate = 0.1;

/// One assignment, whose views and changes are Poisson processes.
Scenario one_assignment(Mode mode, bool has_second_tier) {
    return {.hosts = 20,
            .assignments = 1,
            .changes_per_s = change_rate,
            .views_per_s = view_rate,
            .mode = mode,
            .has_second_tier = has_second_tier,
            .ttl_s = 1e6,
            .recompute_interval_s = 0,
            .warm_up_s = 60,
            .measured_s = 20'000};
}

/// A fleet in which much happens, and no engine is idle.
Scenario busy(Mode mode, bool has_second_tier) {
    return {.hosts = 30,
            .assignments = 40,
            .changes_per_s = 5,
            .views_per_s = 10,
            .mode = mode,
            .has_second_tier = has_second_tier,
            .ttl_s = 20,
            .measured_s = 300};
}

Costs noticeable() {
    Costs costs = cheap();
    costs.compute_us = 20'000;
    costs.look_us = costs.look_found_us = 300;
    costs.deliver_us = 500;
    costs.kv_get_us = costs.kv_get_leader_us = 200;
    costs.round_trip_us = 500;
    return costs;
}

std::string text_of(const FleetResult& result) {
    boost::json::object row = to_json(result);
    row.erase("took_s");
    return boost::json::serialize(row);
}

struct Means {
    double computations = 0, taken = 0, hits = 0, busy = 0, stale_s = 0;
};
Means means(Scenario scenario, bool every_view) {
    // With a second tier a twentieth is computed, and the lengths of computations are exponential: those of 32 seeds,
    // 55,000, scatter by less than half a percent.
    const int seeds = scenario.has_second_tier ? 32 : 8;
    scenario.every_view = every_view;
    Means means;
    for (int n = 1; n <= seeds; ++n) {
        scenario.seed = static_cast<std::uint64_t>(every_view ? 100 + n : n);
        const FleetResult result = simulate(scenario, noticeable());
        means.computations += result.computations_per_s / seeds;
        means.taken += result.taken_per_s / seeds;
        means.hits += result.hit_ratio / seeds;
        means.busy += result.engines.front().busy_share / seeds;
        means.stale_s += result.staleness.quantile_s(0.99) / seeds;
    }
    return means;
}

}  // namespace

TEST_CASE("without a second tier a change costs a computation at each host that looks before the next", "[fleet_sim]") {
    for (const Mode mode : {Mode::outbox, Mode::stream}) {
        const FleetResult result = simulate(one_assignment(mode, false), cheap());
        // Who comes first, the next view or the next change?
        const double expected = 20 * view_rate / (view_rate + result.changes_per_s);
        CHECK(result.computations_per_change() == Approx(expected).epsilon(0.05));
        CHECK(result.computations_per_s == Approx(expected * result.changes_per_s).epsilon(0.05));
        CHECK(result.hit_ratio == Approx(1 - result.computations_per_s / (20 * view_rate)).margin(0.02));
    }
}

TEST_CASE("with a second tier a change costs one computation, if anybody looks before the next", "[fleet_sim]") {
    for (const Mode mode : {Mode::outbox, Mode::stream}) {
        const FleetResult result = simulate(one_assignment(mode, true), cheap());
        const double expected = 20 * view_rate / (20 * view_rate + change_rate);
        CHECK(result.computations_per_change() == Approx(expected).epsilon(0.05));
        CHECK(result.computations_per_change() <= 1.02);
    }
}

TEST_CASE("without changes documents are computed once a time to live", "[fleet_sim]") {
    for (const bool has_second_tier : {false, true}) {
        Scenario scenario = one_assignment(Mode::stream, has_second_tier);
        scenario.changes_per_s = 0;
        scenario.ttl_s = 30;
        const FleetResult result = simulate(scenario, cheap());
        const double expected_per_s = has_second_tier ? 1 / (30 + 1 / (20 * view_rate)) : 20 / (30 + 1 / view_rate);
        CHECK(result.computations_per_s == Approx(expected_per_s).epsilon(0.05));
        CHECK(result.staleness.count() == 0);
    }
}

TEST_CASE("a simulation begins as it goes on", "[fleet_sim]") {
    for (const bool has_second_tier : {false, true}) {
        Scenario at_once = busy(Mode::stream, has_second_tier), later = at_once;
        at_once.warm_up_s = 0.5;
        at_once.measured_s = 5;
        later.warm_up_s = 100;
        double sums[2] = {};
        for (std::uint64_t seed = 1; seed <= 40; ++seed) {
            at_once.seed = seed;
            sums[0] += simulate(at_once, cheap()).hit_ratio / 40;
        }
        sums[1] = simulate(later, cheap()).hit_ratio;
        CHECK(sums[0] == Approx(sums[1]).margin(0.02));
    }
}

TEST_CASE("views that are not events change nothing", "[fleet_sim]") {
    for (const Mode mode : {Mode::outbox, Mode::stream})
        for (const bool has_second_tier : {false, true}) {
            const Means thinned = means(busy(mode, has_second_tier), false);
            const Means plain = means(busy(mode, has_second_tier), true);
            INFO(name_of(mode) << (has_second_tier ? " with" : " without") << " a second tier");
            CHECK(thinned.computations == Approx(plain.computations).epsilon(0.02));
            CHECK(thinned.taken == Approx(plain.taken).epsilon(0.02).margin(0.01));
            CHECK(thinned.hits == Approx(plain.hits).margin(0.006));
            CHECK(thinned.busy == Approx(plain.busy).epsilon(0.02));
            CHECK(thinned.stale_s == Approx(plain.stale_s).epsilon(0.06));
        }
}

TEST_CASE("each change becomes known at each host, one after the other", "[fleet_sim]") {
    Scenario scenario = busy(Mode::stream, false);
    Costs costs = cheap();
    costs.deliver_us = 1'000;  // thirty hosts on twelve processors: the last ones are served after three deliveries
    costs.round_trip_us = 0;
    costs.replicate_us = 0;
    const FleetResult stream = simulate(scenario, costs);
    CHECK(static_cast<double>(stream.staleness.count()) ==
          Approx(stream.notices_per_s * scenario.measured_s * scenario.hosts).epsilon(0.001));
    // The next look is up to 10 ms away; 6 of 12 processors have three hosts each, the others two.
    CHECK(stream.staleness.longest_s() == Approx(0.013).margin(0.001));
    CHECK(stream.staleness.quantile_s(0.5) == Approx(0.005 + (12 * 1 + 12 * 2 + 6 * 3) * 0.001 / 30).margin(0.001));

    scenario.mode = Mode::outbox;
    const FleetResult outbox = simulate(scenario, costs);
    CHECK(static_cast<double>(outbox.staleness.count()) ==
          Approx(outbox.notices_per_s * scenario.measured_s * scenario.hosts).epsilon(0.01));
    CHECK(outbox.staleness.quantile_s(0.5) == Approx(0.005).margin(0.001));
}

TEST_CASE("a simulation is the same each time, and another with another seed", "[fleet_sim]") {
    for (const Mode mode : {Mode::outbox, Mode::stream}) {
        Scenario scenario = busy(mode, true);
        scenario.measured_s = 20;
        const std::string once = text_of(simulate(scenario, noticeable()));
        CHECK(text_of(simulate(scenario, noticeable())) == once);
        scenario.seed = 7;
        CHECK(text_of(simulate(scenario, noticeable())) != once);
    }
}

TEST_CASE("an engine that cannot do what it is asked is told of", "[fleet_sim]") {
    Costs costs = noticeable();
    costs.compute_us = 2e6;
    const FleetResult result = simulate(busy(Mode::outbox, false), costs);
    CHECK(result.busiest().name == "database");
    CHECK(result.busiest().busy_share > 0.99);
    CHECK(table_row(result).find("SATURATED") != std::string::npos);
    CHECK(result.hit_ratio < simulate(busy(Mode::outbox, false), noticeable()).hit_ratio);
}

TEST_CASE("the limit of a fleet is where an engine is busy for the share that it may be", "[fleet_sim]") {
    Scenario scenario{
        .changes_per_s = 0, .views_per_s = 1, .mode = Mode::outbox, .has_second_tier = true, .measured_s = 20};
    Costs costs = cheap();
    costs.look_us = 10'000;
    const Limit limit = find_limit(scenario, costs, 5'000);
    // Two looks a second at each host, and one each 20 ms of the ringer, of eight processors.
    CHECK(limit.engine == "database");
    CHECK_FALSE(limit.is_beyond);
    CHECK(limit.scenario.hosts == Approx((most_busy * 8 - 0.5) / 0.02).epsilon(0.05));
    CHECK(find_limit(scenario, costs, 20).is_beyond);
    costs.beat_us = 10'000;  // of each host, twice a second
    CHECK(find_limit(scenario, costs, 5'000).scenario.hosts == Approx((most_busy * 8 - 0.5) / 0.04).epsilon(0.05));
    costs.look_us = 2e6;
    CHECK(find_limit(scenario, costs, 20).scenario.hosts < 10);
}

TEST_CASE("a relay to the stream asks twice a second which history it is", "[fleet_sim]") {
    const Scenario scenario{.hosts = 10, .changes_per_s = 0, .views_per_s = 1, .mode = Mode::stream, .measured_s = 20};
    Costs costs = cheap();
    costs.compute_us = 0;
    costs.beat_us = 40'000;
    CHECK(simulate(scenario, costs).engines.front().busy_share == Approx(2 * 0.04 / 8).epsilon(0.05));
}

TEST_CASE("the costs that come with the simulation are complete, and others are refused", "[fleet_sim]") {
    const Costs costs = read_costs(LARDER_SOURCE_DIR "/bench/fleet_sim/costs.json");
    CHECK(costs.look_us > 0);
    CHECK(costs.nats_servers == 3);
    CHECK_THROWS(read_costs(LARDER_SOURCE_DIR "/bench/fleet_sim/none.json"));
    CHECK_THROWS(read_costs(LARDER_SOURCE_DIR "/bench/plots/figures.json"));
}
