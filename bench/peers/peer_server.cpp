#include "bench/peers/peer_server.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "bench/scoped_cache.hpp"

namespace larder::bench {
namespace {

bool accepts(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool accepted =
        descriptor >= 0 && ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(descriptor);
    return accepted;
}

}  // namespace

PeerServer::PeerServer(const std::string& program, std::vector<std::string> arguments)
    : directory_(make_directory()), socket_(directory_ + "/socket") {
    for (std::string& argument : arguments)
        if (argument == "SOCKET") argument = socket_;
    process_ = std::make_unique<ServerProcess>(program, arguments, [this] { return accepts(socket_); });
}

PeerServer::~PeerServer() {
    process_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

}  // namespace larder::bench
