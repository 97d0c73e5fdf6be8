// The address of a Unix socket, for paths of any length.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

namespace larder::shm {

/// The kernel takes at most 107 bytes of path. A longer one is reached through a descriptor of its directory
/// (/proc/self/fd/N/NAME); tools such as nc cannot do that, so that `direct()` is worth a warning.
/// Keep it until bind or connect has returned.
class SocketAddress {
public:
    explicit SocketAddress(const std::string& path);
    SocketAddress(const SocketAddress&) = delete;
    SocketAddress& operator=(const SocketAddress&) = delete;
    ~SocketAddress();

    /// Empty, or in one sentence why there is no address.
    const std::string& problem() const { return problem_; }
    /// The error of opening the directory, 0 if that went well: ENOENT may pass.
    int error() const { return error_; }
    bool direct() const { return directory_ < 0; }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
    socklen_t size() const { return sizeof address_; }

private:
    void go_through_directory(const std::string& path);
    sockaddr_un address_{};
    int directory_ = -1;
    int error_ = 0;
    std::string problem_;
};

}  // namespace larder::shm
