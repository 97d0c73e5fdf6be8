#include "core/fleet/fleet_relay.hpp"

#include <chrono>
#include <exception>

#include "core/nats/stream_publisher.hpp"
#include "core/postgres/postgres_relay.hpp"
#include "core/repeated_error.hpp"

namespace larder::fleet {
namespace {

constexpr std::chrono::milliseconds retry_interval{200};

}  // namespace

FleetRelay::FleetRelay(FleetRelayOptions options, NoticeSink& sink, Log log)
    : options_(std::move(options)), log_(std::move(log)), listener_(options_.nats, options_.database, sink, log_) {}

/// Until both sides can be reached; the relay itself lasts through what happens to them later.
void FleetRelay::publish(const std::stop_token& stop) const {
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        try {
            nats::StreamPublisher publisher(options_.nats, options_.database, log_);
            postgres::PostgresRelay relay(options_.relay_url, publisher, log_,
                                          postgres::PostgresRelay::Looks::when_elected);
            return relay.run(stop);
        } catch (const std::exception& error) {
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
            std::this_thread::sleep_for(retry_interval);
        }
    }
}

void FleetRelay::run(std::stop_token stop) {
    std::jthread publishing;
    if (!options_.relay_url.empty()) publishing = std::jthread([this](const std::stop_token& mine) { publish(mine); });
    listener_.run(stop);
}

}  // namespace larder::fleet
