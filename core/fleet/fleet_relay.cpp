#include "core/fleet/fleet_relay.hpp"

#include <chrono>
#include <exception>

#include "core/fleet/shared_tier.hpp"
#include "core/nats/key_value_tier.hpp"
#include "core/nats/stream_publisher.hpp"
#include "core/postgres/postgres_relay.hpp"
#include "core/repeated_error.hpp"
#include "shm/hash.hpp"

namespace larder::fleet {
namespace {

constexpr std::chrono::milliseconds retry_interval{200};
constexpr std::chrono::milliseconds tier_patience{2'000};

}  // namespace

std::int32_t stream_lock(std::string_view database) {
    constexpr std::uint64_t positive = 0x7fffffff, first = postgres::outbox_lock + 1;
    return static_cast<std::int32_t>(first + shm::hash_of(database, 0) % (positive - first));
}

FleetRelay::FleetRelay(FleetRelayOptions options, NoticeSink& sink, Log log)
    : options_(std::move(options)), log_(std::move(log)), listener_(options_.nats, options_.database, sink, log_) {}

/// Until both sides can be reached; the relay itself lasts through what happens to them later.
void FleetRelay::publish(const std::stop_token& stop) const {
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        try {
            nats::StreamPublisher publisher(options_.nats, options_.database, log_);
            postgres::PostgresRelay relay(options_.relay_url, publisher, log_,
                                          {.looks = postgres::PostgresRelay::Looks::when_elected,
                                           .lock = stream_lock(options_.database),
                                           .unwatched = options_.unwatched});
            if (repeated.is_over()) log_(LogLevel::info, "Outbox relay: can be reached");
            std::jthread making;
            if (options_.shares_documents)
                making = std::jthread([&](const std::stop_token& mine) { keep_tier(mine, relay); });
            return relay.run(stop);
        } catch (const std::exception& error) {
            if (repeated.is_news(error.what())) log_(LogLevel::error, std::string("Outbox relay: ") + error.what());
            std::this_thread::sleep_for(retry_interval);
        }
    }
}

/// While this host is the elected one: servers may lose what they have in memory.
void FleetRelay::keep_tier(const std::stop_token& stop, const Relay& relay) const {
    nats::ConnectionOptions patient = options_.nats;
    patient.patience = tier_patience;
    nats::KeyValueTier tier(patient, options_.database);
    RepeatedError repeated;
    while (!stop.stop_requested()) {
        if (relay.caught_up()) {
            if (!tier.make()) {
                if (repeated.is_news(tier.error())) log_(LogLevel::error, not_shared + tier.error());
            } else if (repeated.is_over()) {
                log_(LogLevel::info, shared_again);
            }
        }
        std::this_thread::sleep_for(nats::KeyValueTier::retreat);
    }
}

void FleetRelay::run(std::stop_token stop) {
    std::jthread publishing;
    if (!options_.relay_url.empty()) publishing = std::jthread([this](const std::stop_token& mine) { publish(mine); });
    listener_.run(stop);
}

}  // namespace larder::fleet
