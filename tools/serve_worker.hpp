// The worker of `larder serve`: one process, its own mapping of the cache, its own connections to the database, and its
// slot's sockets on the common port.
#pragma once

#include "tools/serve_config.hpp"

namespace larder::tools {

/// Where a worker finds its listening sockets, one behind the other. The supervisor keeps them, too: who is connected
/// but not yet accepted waits for the next worker that has the same.
inline constexpr int inherited_listener_fd = 5;

/// Serves until SIGTERM or SIGUSR1 (see Server::run), or until its supervisor dies, and then dies with it. Returns the
/// exit code; throws OpenError, KeyFileError before it listens. The database is opened by the first request that has to
/// ask it.
int run_worker(const ServeConfig& config, const WorkerTicket& ticket);

}  // namespace larder::tools
