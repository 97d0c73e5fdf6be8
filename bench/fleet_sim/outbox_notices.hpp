// OutboxNotices: each host reads the outbox itself. One of them, the ringer, looks every 10 ms and rings for the
// others.
#pragma once

#include <vector>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/engine.hpp"
#include "bench/fleet_sim/notices.hpp"
#include "bench/fleet_sim/random.hpp"
#include "bench/fleet_sim/scenario.hpp"

namespace larder::bench::sim {

class OutboxNotices final : public Notices {
public:
    OutboxNotices(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random,
                  const Changes& changes, Engine& database);
    void start() override;
    Position known(std::uint32_t host) const override { return listeners_[host].known; }

private:
    static constexpr std::uint32_t ringer = 0;
    struct Listener {
        Position known = 0;
        double looked_at_s = 0;
        double beat_at_s = -1e9;
        bool is_looking = false, is_rung = false;
    };
    void ring();
    void hear(std::uint32_t host);
    void beat(std::uint32_t host);
    void look(std::uint32_t host, double besides_us);
    void apply(std::uint32_t host, Position snapshot);
    void go_on(std::uint32_t host, bool found);

    const Scenario& scenario_;
    const Costs& costs_;
    EventQueue& queue_;
    Random& random_;
    const Changes& changes_;
    Engine& database_;
    const double half_trip_s_;
    std::vector<Listener> listeners_;
};

}  // namespace larder::bench::sim
