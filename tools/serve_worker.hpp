// The worker of `larder serve`: one process, its own mapping of the cache, its own connections to the database, its own
// socket on the common port.
#pragma once

#include "tools/serve_config.hpp"

namespace larder::tools {

/// Serves until SIGTERM, or until its supervisor dies, and then dies with it. Returns the exit code; throws OpenError,
/// KeyFileError, AddressError before it listens. The database is opened by the first request that has to ask it.
int run_worker(const ServeConfig& config, const WorkerTicket& ticket);

}  // namespace larder::tools
