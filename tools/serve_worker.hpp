// The worker of `larder serve`: one process, its own mapping of the cache, its own connections to the database, and its
// slot's socket on the common port.
#pragma once

#include "tools/serve_config.hpp"

namespace larder::tools {

/// Where a worker finds the listening socket of its slot. The supervisor keeps it, too: who is connected but not yet
/// accepted waits for the slot's next worker.
inline constexpr int inherited_listener_fd = 5;

/// Serves until SIGTERM or SIGUSR1 (see Server::run), or until its supervisor dies, and then dies with it. Returns the
/// exit code; throws OpenError, KeyFileError before it listens. The database is opened by the first request that has to
/// ask it.
int run_worker(const ServeConfig& config, const WorkerTicket& ticket);

}  // namespace larder::tools
