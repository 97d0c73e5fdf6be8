// A client of a Unix socket, as badly behaved as the test wants it. Reads have the watchdog's patience.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"

namespace larder::test {

class SocketClient {
public:
    explicit SocketClient(const std::string& path) : descriptor_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
    }
    SocketClient(SocketClient&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)), received_(std::move(other.received_)) {}
    SocketClient& operator=(SocketClient&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        std::swap(received_, other.received_);
        return *this;
    }
    ~SocketClient() { close(); }

    bool connected() const { return descriptor_ >= 0; }
    /// All of it; false when the other side is gone or takes nothing for the watchdog's time.
    bool send(std::string_view text) {
        if (!connected()) return false;
        while (!text.empty()) {
            pollfd event{descriptor_, POLLOUT, 0};
            if (::poll(&event, 1, static_cast<int>(kWatchdog.count()) * 1000) != 1) return false;
            const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN) return false;
            if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// What the socket's buffer takes without waiting; 0: nothing for now, or never.
    std::size_t send_without_waiting(std::string_view text) {
        const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }
    void end_of_requests() { ::shutdown(descriptor_, SHUT_WR); }

    /// A line without its LF, `<end>` when the other side has closed, `<silence>` when nothing came in time.
    std::string read_line() {
        while (connected()) {
            if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
                std::string line = received_.substr(0, end);
                received_.erase(0, end + 1);
                return line;
            }
            pollfd event{descriptor_, POLLIN, 0};
            if (::poll(&event, 1, static_cast<int>(kWatchdog.count()) * 1000) != 1) return "<silence>";
            char bytes[4096];
            const ssize_t count = ::recv(descriptor_, bytes, sizeof bytes, 0);
            if (count <= 0) return "<end>";
            received_.append(bytes, static_cast<std::size_t>(count));
        }
        return "<end>";
    }
    std::string ask(std::string_view line) { return send(std::string(line) + '\n') ? read_line() : "<end>"; }
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }

private:
    int descriptor_;
    std::string received_;
};

}  // namespace larder::test
