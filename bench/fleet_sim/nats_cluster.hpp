// NatsCluster: the servers, who leads which stream, and what an operation costs whom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/fleet_sim/costs.hpp"
#include "bench/fleet_sim/engine.hpp"

namespace larder::bench::sim {

/// Documents, leases and notices are led by a server each, where there are three. A host is connected to one of them.
class NatsCluster {
public:
    enum Stream : std::size_t { documents, leases, notices };

    NatsCluster(EventQueue& queue, const Costs& costs, std::size_t most_jobs) : queue_(queue), costs_(costs) {
        for (int server = 0; server < static_cast<int>(costs.nats_servers); ++server)
            servers_.push_back(std::make_unique<Engine>(queue, "nats " + std::to_string(server + 1),
                                                        static_cast<int>(costs.nats_processors),
                                                        Engine::Discipline::in_turn, most_jobs));
    }

    std::size_t size() const { return servers_.size(); }
    Engine& server(std::size_t number) { return *servers_[number % servers_.size()]; }
    Engine& leader_of(Stream stream) { return server(stream); }

    /// From and to a host, its round trip included. `done`, if there is one, is called once the leader and one other
    /// have it. False: refused.
    bool write(Stream stream, double leader_us, double follower_us, Action done) {
        return use(stream, leader_us, follower_us, wait_of_write_s(), std::move(done));
    }
    /// Answered by the leader.
    bool read(Stream stream, double leader_us, double follower_us, Action done) {
        return use(stream, leader_us, follower_us, costs_.round_trip_us / 1e6, std::move(done));
    }
    /// By the one that the host is connected to.
    bool ask(std::uint32_t host, double work_us, Action done) { return ask(server(host), work_us, std::move(done)); }

private:
    bool use(Stream stream, double leader_us, double follower_us, double wait_s, Action done) {
        const bool is_taken = leader_of(stream).submit(leader_us / 1e6, [this, wait_s, done = std::move(done)] {
            if (done) queue_.after(wait_s, done);
        });
        if (is_taken)
            for (std::size_t other = 1; other < size(); ++other) server(stream + other).submit(follower_us / 1e6, {});
        return is_taken;
    }
    bool ask(Engine& server, double work_us, Action done) {
        return server.submit(work_us / 1e6,
                             [this, done = std::move(done)] { queue_.after(costs_.round_trip_us / 1e6, done); });
    }
    /// The way of the host, that of the replication, and what is no processor's time.
    double wait_of_write_s() const {
        const double replicas_us = size() > 1 ? costs_.round_trip_us + costs_.replicate_us : 0;
        return (costs_.round_trip_us + replicas_us) / 1e6;
    }

    EventQueue& queue_;
    const Costs& costs_;
    std::vector<std::unique_ptr<Engine>> servers_;
};

}  // namespace larder::bench::sim
