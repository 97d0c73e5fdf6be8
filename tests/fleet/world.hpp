// A fleet: hosts, their database and, where they use them, three nats-servers, on one bridge.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/fleet/bystander.hpp"
#include "tests/fleet/database.hpp"
#include "tests/fleet/delay_line.hpp"
#include "tests/fleet/host.hpp"
#include "tests/fleet/nats.hpp"

namespace larder::fleet {

/// REQUIRES: a bridge; one at a time. Throws std::runtime_error.
class World {
public:
    /// `delays`: what the host that delay_victim() returns says to the servers goes through delay lines.
    World(const Abilities& abilities, int hosts, int assignments, bool delays);

    std::vector<std::unique_ptr<Host>>& hosts() { return hosts_; }
    Database& database() { return database_; }
    Bystander& bystander() { return *bystander_; }
    /// REQUIRES: the program uses them.
    NatsCluster& nats() { return *nats_; }

    /// A host that has not the relay's lock, where there is one; the one that has it. Either is what happens to it,
    /// which the report marks.
    Host& victim();
    Host& relay();
    /// From now on its servers are so far away, each way.
    void delay_victim(int delay_ms);
    std::optional<int> marked() const { return marked_; }
    /// What hosts and the database have said, as files of that directory whose names begin so.
    void keep_logs(const std::string& directory, const std::string& name) const;

private:
    Host::Servers servers() const;
    Host::Servers delayed_servers(const Node& node);
    Host& mark(Host& host);
    int number_of_relay() const;
    void await_tier() const;

    Database database_;
    std::optional<NatsCluster> nats_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::vector<std::unique_ptr<DelayLine>> lines_;
    std::optional<int> marked_;
    std::optional<Bystander> bystander_;  // from when all is up
};

/// Lets things go on for so long.
void hold(double seconds);

}  // namespace larder::fleet
