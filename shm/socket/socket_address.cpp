#include "shm/socket/socket_address.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

namespace larder::shm {
namespace {

bool set_path(sockaddr_un& address, std::string_view path) {
    if (path.size() >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return true;
}

}  // namespace

SocketAddress::SocketAddress(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos) {
        problem_ = "the socket has no path; give the cache a directory";
    } else if (!set_path(address_, path)) {
        go_through_directory(path);
    }
}

void SocketAddress::go_through_directory(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    directory_ = open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory_ < 0) {
        error_ = errno;
        problem_ = "cannot open the directory " + parent + ": " + std::generic_category().message(error_) +
                   "; make it, or name another one with LARDER_DIR";
        return;
    }
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (!set_path(address_, "/proc/self/fd/" + std::to_string(directory_) + '/' + name))
        problem_ = "the socket's name " + name + " is too long; choose a cache name of at most 64 bytes";
}

SocketAddress::~SocketAddress() {
    if (directory_ >= 0) close(directory_);
}

}  // namespace larder::shm
