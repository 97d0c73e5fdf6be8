// Supervisor: the process of `larder serve` that people see. It keeps the port, the workers, the listener's role and
// the relay of the outbox; it serves no request itself.
#pragma once

#include "tools/serve_config.hpp"

namespace larder::tools {

/// In the foreground until SIGTERM, SIGINT or the end of its terminal; SIGHUP reloads (see Reloader). Then drains for
/// at most 5 s (a second signal: not at all). Returns the exit code; throws Refusal, OpenError, SourceError,
/// KeyFileError, AddressError before a worker is started.
int run_supervisor(ServeConfig config);

}  // namespace larder::tools
