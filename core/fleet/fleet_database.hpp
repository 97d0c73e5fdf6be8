// FleetDatabase: a PostgreSQL database of which the hosts of a fleet are told through NATS.
#pragma once

#include <string>

#include "core/postgres/postgres_database.hpp"

namespace larder::fleet {

class FleetDatabase final : public postgres::PostgresDatabase {
public:
    /// As OpenRemoteDatabase; with NATS servers.
    FleetDatabase(DatabaseUrls urls, std::string views);

    std::unique_ptr<Relay> open_relay(NoticeSink& sink, Log log) const override;
    std::unique_ptr<DocumentTier> open_tier(const std::string& identity) const override;

private:
    const std::string nats_, credentials_;
};

}  // namespace larder::fleet
