// PeerServer: a peer's server, alone on a Unix socket in a directory of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/server_process.hpp"

namespace larder::bench {

class PeerServer {
public:
    /// In `arguments` SOCKET stands for the socket's path. Returns once somebody accepts there. Throws
    /// std::runtime_error.
    PeerServer(const std::string& program, std::vector<std::string> arguments);
    ~PeerServer();
    PeerServer(const PeerServer&) = delete;
    PeerServer& operator=(const PeerServer&) = delete;

    const std::string& socket() const { return socket_; }

private:
    std::string directory_, socket_;
    std::unique_ptr<ServerProcess> process_;
};

}  // namespace larder::bench
