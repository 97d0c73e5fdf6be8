// FleetRelay: how a host of a fleet is told: by a stream of NATS, into which one of the hosts tells what the database
// says.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/nats/connection.hpp"
#include "core/nats/stream_relay.hpp"
#include "core/relay.hpp"

namespace larder::fleet {

/// The advisory lock of those who publish to that database's stream. Others, who read the outbox or publish to another
/// stream (the same database by other views), have their own.
std::int32_t stream_lock(std::string_view database);

struct FleetRelayOptions {
    nats::ConnectionOptions nats;
    std::string database;   ///< Database::identity(): the stream is named by it
    std::string relay_url;  ///< of a role that reads the outbox; empty: this host never relays
    bool shares_documents = false;
    /// What of what is read is not watched: PostgresRelay::RelayRole.
    std::function<std::vector<std::string>()> unwatched{};
};

/// Where run() runs and there is a relay_url, a thread of it waits to be elected, by the database's advisory lock, and
/// then publishes, and makes the place for shared documents where there is none: servers take longer for that than a
/// request waits. Hosts without one only listen.
class FleetRelay final : public Relay {
public:
    FleetRelay(FleetRelayOptions options, NoticeSink& sink, Log log);

    int poll() override { return listener_.poll(); }
    void run(std::stop_token stop) override;
    bool caught_up() const override { return listener_.caught_up(); }

private:
    void publish(const std::stop_token& stop) const;
    void keep_tier(const std::stop_token& stop, const Relay& relay) const;

    const FleetRelayOptions options_;
    const Log log_;
    nats::StreamRelay listener_;
};

}  // namespace larder::fleet
