#include "core/fleet/fleet_database.hpp"

#include <utility>

#include "core/fleet/fleet_relay.hpp"

namespace larder::fleet {

FleetDatabase::FleetDatabase(DatabaseUrls urls, std::string views)
    : PostgresDatabase(urls, std::move(views)),
      nats_(std::move(urls.nats)),
      credentials_(std::move(urls.nats_credentials)) {}

std::unique_ptr<Relay> FleetDatabase::open_relay(NoticeSink& sink, Log log) const {
    FleetRelayOptions options{
        .nats = {.url = nats_, .credentials_file = credentials_}, .database = identity(), .relay_url = urls().relay};
    return std::make_unique<FleetRelay>(std::move(options), sink, std::move(log));
}

}  // namespace larder::fleet
