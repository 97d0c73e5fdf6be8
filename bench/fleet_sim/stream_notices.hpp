// StreamNotices: one relay reads the outbox every 10 ms and publishes what it found as one message of a stream, which
// each host consumes.
#pragma once

#include <deque>
#include <vector>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/engine.hpp"
#include "bench/fleet_sim/nats_cluster.hpp"
#include "bench/fleet_sim/notices.hpp"
#include "bench/fleet_sim/random.hpp"
#include "bench/fleet_sim/scenario.hpp"

namespace larder::bench::sim {

/// Delivering a message is no event for each host: the hosts of a processor of a server are served one after the other,
/// so that the time at which each of them has it follows from its place and from when the first was served.
class StreamNotices final : public Notices {
public:
    StreamNotices(const Scenario& scenario, const Costs& costs, EventQueue& queue, Random& random,
                  const Changes& changes, Engine& database, NatsCluster& nats, Engine& relay);
    void start() override;
    Position known(std::uint32_t host) const override;

private:
    struct Wave {
        double first_at_s;  // at the host in the first place
        Position snapshot;
    };
    /// The hosts of one processor of one server.
    struct Lane {
        std::uint32_t hosts = 0;
        Position all_know = 0;
        std::deque<Wave> waves;  // those that have not reached all hosts, and perhaps some that have
    };
    void look();
    void publish(Position snapshot);
    void deliver(Position first, Position snapshot);
    void begin_wave(Lane& lane, Position first, Position snapshot);
    void ask(std::uint32_t host);

    const Scenario& scenario_;
    const Costs& costs_;
    EventQueue& queue_;
    Random& random_;
    const Changes& changes_;
    Engine& database_;
    NatsCluster& nats_;
    Engine& relay_;
    const double half_trip_s_, step_s_;
    std::vector<Lane> lanes_;
    Position published_ = 0;
    double beat_at_s_ = -1e9;
};

}  // namespace larder::bench::sim
