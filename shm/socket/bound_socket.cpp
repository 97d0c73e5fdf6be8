#include "shm/socket/bound_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "shm/socket/fork_guard.hpp"

namespace larder::shm {
namespace {

constexpr int kBacklog = 128;

std::string why(int error) { return std::generic_category().message(error); }

}  // namespace

int BoundSocket::open() {
    if (!remove_socket_there()) return -1;
    const SocketAddress address(path_);
    problem_ = address.problem();
    if (!problem_.empty()) return -1;
    direct_ = address.direct();
    const auto guard = hold_off_forks();
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int error = descriptor < 0 ? -errno : listen_on(descriptor, address);
    if (error == 0) {
        close_in_children(descriptor);
        return descriptor;
    }
    problem_ = "cannot listen on " + path_ + ": " + why(-error) + "; name another directory with LARDER_DIR";
    if (descriptor >= 0) ::close(descriptor);
    return -1;
}

bool BoundSocket::is_ours() const {
    struct stat now {};
    return system::file_status(path_, now, false) == 0 && system::file_id(now) == identity_;
}

void BoundSocket::remove_if_ours() {
    if (is_ours()) system::remove_file(path_);
}

int BoundSocket::listen_on(int descriptor, const SocketAddress& address) {
    // The mode of the socket before bind, less the umask, becomes the file's; the second call mends an odd umask.
    if (const int error = system::change_mode(descriptor, 0600); error < 0) return error;
    if (bind(descriptor, address.get(), address.size()) != 0) return -errno;
    if (const int error = system::change_mode(path_, 0600); error < 0) return error;
    struct stat status {};
    if (const int error = system::file_status(path_, status, false); error < 0) return error;
    identity_ = system::file_id(status);
    return listen(descriptor, kBacklog) == 0 ? 0 : -errno;
}

bool BoundSocket::remove_socket_there() {
    struct stat there {};
    if (system::file_status(path_, there, false) < 0) return true;
    if (S_ISSOCK(there.st_mode) && system::remove_file(path_) == 0) return true;
    problem_ = path_ + " is in the way and no socket that could be removed; move it elsewhere";
    return false;
}

}  // namespace larder::shm
