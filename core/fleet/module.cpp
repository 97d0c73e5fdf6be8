// larder-fleet.so: what core/remote_database.hpp says.
#include <memory>

#include "core/fleet/fleet_database.hpp"

extern "C" {

[[gnu::visibility("default")]] const char* larder_remote_module_version() { return LARDER_VERSION; }

[[gnu::visibility("default")]] larder::Database* larder_open_remote_database(const larder::DatabaseUrls& urls,
                                                                             const std::string& views) {
    if (urls.nats.empty()) return std::make_unique<larder::postgres::PostgresDatabase>(urls, views).release();
    return std::make_unique<larder::fleet::FleetDatabase>(urls, views).release();
}

}  // extern "C"
