// The listening socket in the file system, while this process has the listener's role.
#pragma once

#include <string>
#include <utility>

#include "shm/socket/socket_address.hpp"
#include "shm/system.hpp"

namespace larder::shm {

/// REQUIRES for all that writes: this process has the role, so that nobody else binds the path meanwhile.
class BoundSocket {
public:
    explicit BoundSocket(std::string path) : path_(std::move(path)) {}

    /// A non-blocking descriptor that listens, mode 0600, closed in forked children; the caller owns it. -1: problem()
    /// says why. A socket that has the path already is removed, anything else there is a problem.
    int open();
    /// The path still leads to the socket that open() made.
    bool is_ours() const;
    void remove_if_ours();

    const std::string& problem() const { return problem_; }
    /// The kernel takes the path as it is; false: see SocketAddress.
    bool direct() const { return direct_; }

private:
    int listen_on(int descriptor, const SocketAddress& address);
    bool remove_socket_there();

    std::string path_;
    std::string problem_;
    system::FileId identity_;
    bool direct_ = true;
};

}  // namespace larder::shm
