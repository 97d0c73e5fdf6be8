// FleetDatabase: a PostgreSQL database of which the hosts of a fleet are told through NATS.
#pragma once

#include <string>

#include "core/nats/connection.hpp"
#include "core/postgres/postgres_database.hpp"

namespace larder::fleet {

class FleetDatabase final : public postgres::PostgresDatabase {
public:
    /// With NATS servers.
    using PostgresDatabase::PostgresDatabase;

    std::vector<std::string> findings() const override;
    std::vector<shm::Finding> examine_links(const ToldPosition& told) const override;
    std::unique_ptr<Relay> open_relay(NoticeSink& sink, Log log) const override;
    std::unique_ptr<DocumentTier> open_tier(const std::string& identity, Log log) const override;

private:
    void examine_tier(const std::string& database, std::vector<shm::Finding>& findings) const;
    nats::ConnectionOptions servers() const;
};

}  // namespace larder::fleet
