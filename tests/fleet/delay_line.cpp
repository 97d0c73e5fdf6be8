#include "tests/fleet/delay_line.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <list>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace larder::fleet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostHeld = 16 << 20;  // bytes, one way; then the sender waits
constexpr int kTickMs = 1;

std::shared_ptr<std::atomic<int>> shared_number() {
    void* const page =
        ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::bad_alloc();
    return {new (page) std::atomic<int>(0), [](std::atomic<int>* number) { ::munmap(number, sizeof *number); }};
}

sockaddr_in address_of(const std::string& address, std::uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
    return result;
}

int make_socket() {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return descriptor;
}

/// One way of a connection.
class Way {
public:
    bool takes_more() const { return !ended_ && held_bytes_ < kMostHeld; }
    /// False: broken.
    bool take(int from, Clock::duration delay) {
        char bytes[16 * 1024];
        const ssize_t count = ::recv(from, bytes, sizeof bytes, 0);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        ended_ = count == 0;
        held_.emplace_back(Clock::now() + delay, std::string(bytes, static_cast<std::size_t>(count)));
        held_bytes_ += static_cast<std::size_t>(count);
        return true;
    }
    bool give(int to) {
        while (!held_.empty() && held_.front().first <= Clock::now()) {
            std::string& bytes = held_.front().second;
            if (bytes.empty()) return false;  // the end has come through
            const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
            held_bytes_ -= static_cast<std::size_t>(count);
            bytes.erase(0, static_cast<std::size_t>(count));
            if (!bytes.empty()) return true;
            held_.pop_front();
        }
        return true;
    }

private:
    std::deque<std::pair<Clock::time_point, std::string>> held_;
    std::size_t held_bytes_ = 0;
    bool ended_ = false;
};

struct Connection {
    int client, server;
    Way up, down;
    bool is_connected = false, is_broken = false;
};

class Line {
public:
    Line(std::uint16_t port, const sockaddr_in& to, const std::atomic<int>& delay_ms)
        : to_(to), delay_ms_(delay_ms), listener_(make_socket()) {
        const sockaddr_in own = address_of("127.0.0.1", port);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 || ::listen(listener_, 64) != 0)
            throw std::runtime_error("the delay line cannot listen");
    }
    void step() {
        std::vector<pollfd> ready{{listener_, POLLIN, 0}};
        for (const Connection& one : connections_) {
            ready.push_back({one.client, static_cast<short>(one.up.takes_more() ? POLLIN : 0), 0});
            const int wanted = one.is_connected ? (one.down.takes_more() ? POLLIN : 0) : POLLOUT;
            ready.push_back({one.server, static_cast<short>(wanted), 0});
        }
        ::poll(ready.data(), ready.size(), kTickMs);
        std::size_t at = 1;
        for (Connection& one : connections_) {
            pass(one, ready[at].revents, ready[at + 1].revents);
            at += 2;
        }
        connections_.remove_if([](const Connection& one) {
            if (one.is_broken) ::close(one.client), ::close(one.server);
            return one.is_broken;
        });
        if (ready[0].revents != 0) accept();
    }

private:
    void pass(Connection& one, int client, int server) {
        const std::chrono::milliseconds delay(delay_ms_.load());
        bool good = true;
        if (client != 0 && one.up.takes_more()) good = one.up.take(one.client, delay);
        if (!one.is_connected && server != 0) {
            one.is_connected = true;
            good = good && (server & POLLERR) == 0;
        } else if (server != 0 && one.down.takes_more()) {
            good = good && one.down.take(one.server, delay);
        }
        one.is_broken = !good || (one.is_connected && !one.up.give(one.server)) || !one.down.give(one.client);
    }
    void accept() {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) return;
        const int server = make_socket(), on = 1;
        for (const int end : {client, server}) ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::connect(server, reinterpret_cast<const sockaddr*>(&to_), sizeof to_);
        connections_.push_back({.client = client, .server = server, .up = {}, .down = {}});
    }

    const sockaddr_in to_;
    const std::atomic<int>& delay_ms_;
    const int listener_;
    std::list<Connection> connections_;
};

}  // namespace

DelayLine::DelayLine(int network, std::uint16_t port, std::string to, std::uint16_t to_port)
    : delay_ms_(shared_number()),
      process_(test::ChildProcess::start([&, delay_ms = delay_ms_.get()](test::Channel& parent) {
          if (::setns(network, CLONE_NEWNET) != 0) return 81;
          Line line(port, address_of(to, to_port), *delay_ms);
          parent.tell('l');
          while (true) line.step();
          return 0;
      })) {
    if (process_.hear() != 'l') throw std::runtime_error("there is no delay line");
}

}  // namespace larder::fleet
