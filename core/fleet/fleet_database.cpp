#include "core/fleet/fleet_database.hpp"

#include <utility>

#include "core/fleet/fleet_relay.hpp"
#include "core/fleet/shared_tier.hpp"
#include "core/nats/key_value_tier.hpp"

namespace larder::fleet {

nats::ConnectionOptions FleetDatabase::servers() const {
    return {.url = urls().nats, .credentials_file = urls().nats_credentials};
}

std::unique_ptr<Relay> FleetDatabase::open_relay(NoticeSink& sink, Log log) const {
    FleetRelayOptions options{.nats = servers(),
                              .database = identity(),
                              .relay_url = urls().relay,
                              .shares_documents = urls().shares_documents};
    return std::make_unique<FleetRelay>(std::move(options), sink, std::move(log));
}

std::unique_ptr<DocumentTier> FleetDatabase::open_tier(const std::string& identity) const {
    if (!urls().shares_documents) return nullptr;
    return std::make_unique<SharedTier>(std::make_unique<nats::KeyValueTier>(servers(), identity));
}

}  // namespace larder::fleet
