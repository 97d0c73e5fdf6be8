#include "bench/fleet_sim/fleet_run.hpp"

#include <algorithm>
#include <chrono>
#include <memory>

#include "bench/fleet_sim/fills.hpp"
#include "bench/fleet_sim/outbox_notices.hpp"
#include "bench/fleet_sim/plain_views.hpp"
#include "bench/fleet_sim/stream_notices.hpp"
#include "bench/fleet_sim/thinned_views.hpp"
#include "bench/fleet_sim/warm_start.hpp"

namespace larder::bench::sim {
namespace {

constexpr std::size_t most_writers = 1'000;     // at once at the database, those that ring besides
constexpr std::size_t most_messages = 200'000;  // that wait in a nats-server, or at the relay

class FleetRun {
public:
    FleetRun(const Scenario& scenario, const Costs& costs)
        : scenario_(scenario),
          costs_(costs),
          random_(scenario.seed),
          viewed_(scenario.assignments, scenario.zipf_exponent, random_),
          changed_(scenario.changes_where_viewed ? viewed_
                                                 : Zipf(scenario.assignments, scenario.zipf_exponent, random_)),
          changes_(scenario.assignments),
          database_(
              queue_, "database", static_cast<int>(costs.database_processors), Engine::Discipline::shared,
              static_cast<std::size_t>(scenario.hosts) * static_cast<std::size_t>(scenario.workers + 1) + most_writers),
          relay_(queue_, "relay", 1, Engine::Discipline::in_turn, most_messages),
          nats_(queue_, costs, most_messages) {
        if (scenario.mode == Mode::outbox)
            notices_ = std::make_unique<OutboxNotices>(scenario_, costs_, queue_, random_, changes_, database_);
        else
            notices_ =
                std::make_unique<StreamNotices>(scenario_, costs_, queue_, random_, changes_, database_, nats_, relay_);
        if (scenario.every_view)
            views_ = std::make_unique<PlainViews>(scenario_, queue_, random_, changes_, *notices_, viewed_);
        else
            views_ = std::make_unique<ThinnedViews>(scenario_, queue_, random_, changes_, *notices_, viewed_);
        fills_ =
            std::make_unique<Fills>(scenario_, costs_, queue_, random_, changes_, *notices_, database_, nats_, *views_);
    }

    FleetResult run() {
        {
            const WarmStart warm(scenario_, random_, viewed_, changed_);
            fills_->start(warm.documents);
            views_->start(warm.cached);
        }
        notices_->start();
        if (scenario_.changes_per_s > 0) plan_change();
        queue_.run_until(scenario_.warm_up_s);
        begin_measuring();
        queue_.run_until(scenario_.warm_up_s + scenario_.measured_s);
        return result();
    }

private:
    void plan_change() {
        queue_.after(random_.gap_s(scenario_.changes_per_s), [this] {
            const std::uint32_t assignment = changed_(random_);
            database_.submit(costs_.trigger_us / 1e6, {});
            changes_.add(assignment, queue_.now_s());
            views_->changed(assignment);
            plan_change();
        });
    }

    void begin_measuring() {
        changes_before_ = changes_.count();
        notices_->begin_measuring();
        fills_->begin_measuring();
        views_->begin_measuring();
        database_.begin_measuring();
        relay_.begin_measuring();
        for (std::size_t number = 0; number < nats_.size(); ++number) nats_.server(number).begin_measuring();
    }

    FleetResult result() {
        const auto per_s = [this](auto count) { return static_cast<double>(count) / scenario_.measured_s; };
        const NoticeCounts& notices = notices_->counts();
        const FillCounts& fills = fills_->counts();
        FleetResult result{.scenario = scenario_};
        result.changes_per_s = per_s(changes_.count() - changes_before_);
        result.computations_per_s = per_s(fills.computations);
        result.after_changes_per_s = per_s(fills.after_changes);
        result.taken_per_s = per_s(fills.taken);
        result.looks_per_s = per_s(notices.looks);
        result.notices_per_s = per_s(notices.told);
        result.deliveries_per_s = per_s(notices.messages);
        result.hit_ratio = views_->hits() / (scenario_.hosts * scenario_.views_per_s * scenario_.measured_s);
        result.refused_per_s = per_s(fills.refused);
        result.staleness = notices.staleness;
        result.answers = notices.answers;
        result.fills = fills.lasted;
        const auto add = [&result](const Engine& engine) {
            result.engines.push_back({engine.name(), engine.load().busy_share, engine.load().refused});
        };
        add(database_);
        if (scenario_.mode == Mode::stream) add(relay_);
        if (scenario_.mode == Mode::stream || scenario_.has_second_tier)
            for (std::size_t number = 0; number < nats_.size(); ++number) add(nats_.server(number));
        result.events = queue_.done();
        return result;
    }

    const Scenario scenario_;
    const Costs costs_;
    EventQueue queue_;
    Random random_;
    const Zipf viewed_, changed_;
    Changes changes_;
    Engine database_, relay_;
    NatsCluster nats_;
    std::unique_ptr<Notices> notices_;
    std::unique_ptr<Views> views_;
    std::unique_ptr<Fills> fills_;
    Position changes_before_ = 0;
};

}  // namespace

const EngineResult& FleetResult::busiest() const {
    return *std::max_element(engines.begin(), engines.end(), [](const EngineResult& one, const EngineResult& other) {
        return one.busy_share < other.busy_share;
    });
}

FleetResult simulate(const Scenario& scenario, const Costs& costs) {
    const auto began = std::chrono::steady_clock::now();
    FleetResult result = FleetRun(scenario, costs).run();
    result.took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return result;
}

}  // namespace larder::bench::sim
