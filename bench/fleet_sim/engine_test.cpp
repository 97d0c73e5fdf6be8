// Engines against what queueing theory says of them.
#include "bench/fleet_sim/engine.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <vector>

#include "bench/fleet_sim/random.hpp"

using namespace larder::bench::sim;

namespace {

/// The mean time in an engine of one processor, of jobs of one second that come at random.
double mean_time_s(Engine::Discipline discipline, double load) {
    constexpr int jobs = 200'000;
    EventQueue queue;
    Random random(1);
    Engine engine(queue, "engine", 1, discipline, jobs);
    double total_s = 0;
    int ended = 0;
    const std::function<void()> come = [&] {
        engine.submit(1, [&, at_s = queue.now_s()] {
            total_s += queue.now_s() - at_s;
            ++ended;
        });
        queue.after(random.gap_s(load), come);
    };
    come();
    queue.run_until(jobs / load);
    return total_s / ended;
}

}  // namespace

TEST_CASE("jobs in turn wait as long as those of an M/D/1 queue", "[fleet_sim]") {
    for (const double load : {0.3, 0.7, 0.9}) {
        const double expected_s = 1 + load / (2 * (1 - load));
        CHECK(mean_time_s(Engine::Discipline::in_turn, load) == Approx(expected_s).epsilon(0.05));
    }
}

TEST_CASE("jobs that share a processor take as long as in an M/G/1 queue with processor sharing", "[fleet_sim]") {
    for (const double load : {0.3, 0.7, 0.9}) {
        const double expected_s = 1 / (1 - load);
        CHECK(mean_time_s(Engine::Discipline::shared, load) == Approx(expected_s).epsilon(0.05));
    }
}

TEST_CASE("jobs share what processors there are, and nobody has more than one", "[fleet_sim]") {
    EventQueue queue;
    Engine engine(queue, "engine", 2, Engine::Discipline::shared, 10);
    std::vector<double> ended_at_s;
    const auto note = [&] { ended_at_s.push_back(queue.now_s()); };
    engine.submit(1, note);
    queue.run_until(10);
    for (int n = 0; n < 3; ++n) engine.submit(2, note);
    engine.submit(1, note);
    queue.run_until(30);

    // Four share two processors: the short one ends after 2 seconds, when three have 1 second left each.
    REQUIRE(ended_at_s.size() == 5);
    CHECK(ended_at_s[0] == Approx(1));
    CHECK(ended_at_s[1] == Approx(12));
    CHECK(ended_at_s[4] == Approx(13.5));
    CHECK(engine.load().busy_share == Approx((1 + 7) / 60.0));
}

TEST_CASE("an engine takes no more than it has room for", "[fleet_sim]") {
    for (const auto discipline : {Engine::Discipline::in_turn, Engine::Discipline::shared}) {
        EventQueue queue;
        Engine engine(queue, "engine", 1, discipline, 2);
        int ended = 0;
        const auto count = [&ended] { ++ended; };
        CHECK(engine.submit(1, count));
        CHECK(engine.submit(1, count));
        CHECK_FALSE(engine.submit(1, count));
        queue.run_until(2);
        CHECK(engine.submit(1, count));
        queue.run_until(3);
        CHECK(ended == 3);
        CHECK(engine.load().refused == 1);
    }
}
