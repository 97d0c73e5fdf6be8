// Three nats-servers, each on a node of its own, that keep their streams together.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/fleet/network.hpp"
#include "tests/fleet/program.hpp"

namespace larder::fleet {

class NatsCluster {
public:
    static constexpr int size = 3;
    static constexpr std::uint16_t port = 4222;

    /// On nodes `first_node` and on. Returns once a majority has a leader. Throws std::runtime_error.
    explicit NatsCluster(int first_node);

    /// As --nats takes them.
    std::string urls() const;
    Node& node(int server) { return *nodes_.at(static_cast<std::size_t>(server)); }
    void kill(int server);
    void start(int server);

    static std::string missing_programs();

private:
    std::string file(int server, const std::string& suffix) const;
    void configure(int server) const;
    bool has_leader() const;

    const std::string directory_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<std::optional<Program>> servers_;
};

}  // namespace larder::fleet
