// Server: one worker's share of a port. Its thread reads, answers what is in the cache, and writes; what has to ask the
// database is done by a few other threads, so that hits and `/healthz` never wait for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "tools/http/connection.hpp"
#include "tools/http/service.hpp"

namespace larder::tools {

enum class Health : unsigned char {
    ok,
    degraded,  ///< it serves, but the database is not followed: see Options::degraded_after
    starting,
    draining,
};

struct ServerOptions {
    ConnectionLimits limits;
    std::size_t max_connections = 1'024;          ///< one that nobody uses makes room, else 503
    std::size_t compute_threads = 12;             ///< who waits for another process's computation takes one, too
    std::size_t max_queued_computations = 256;    ///< above: 503
    std::chrono::milliseconds drain_time{4'500};  ///< after SIGTERM, for requests that have begun
};

class Server {
public:
    /// `listening_fds`: listening, non-blocking sockets, closed by the server. `keys` null: nobody needs a token.
    /// `health` is asked on every /healthz. All of them outlive the server.
    Server(ServerOptions options, std::vector<int> listening_fds, Service& service, const KeyRing* keys,
           std::function<Health()> health);

    /// Serves until SIGTERM, then drains: no connection is kept. Or until SIGUSR1, then retires, which no client
    /// notices: another process has the same listening sockets, each connection is closed with its next answer, and one
    /// that is not used for drain_time is over. Calls `ready` when nothing stands in the way of that any more, and
    /// `turned` about ten times a second from then on, as long as its thread is not stuck. False:
    /// something was still being done when the time was over; the process then ends at once (std::_Exit), since its
    /// threads cannot be waited for. One call.
    bool run(const std::function<void()>& ready, const std::function<void()>& turned = {});

private:
    ServerOptions options_;
    std::vector<int> listening_fds_;
    Service& service_;
    const KeyRing* keys_;
    std::function<Health()> health_;
};

}  // namespace larder::tools
