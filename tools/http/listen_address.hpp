// ListenAddress: where HTTP is served, and the sockets that share one port.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shm/system.hpp"

namespace larder::tools {

/// HOST:PORT cannot be used; what() says why and what to do.
struct AddressError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One address and port of this host.
class ListenAddress {
public:
    /// `127.0.0.1:8080`, `localhost:0`, `[::1]:8080`. Throws AddressError.
    static ListenAddress parse(std::string_view text);
    /// Where a socket of the internet listens. Throws AddressError.
    static ListenAddress of_socket(int fd);

    /// Nobody outside this host can reach it.
    bool is_loopback() const;
    std::uint16_t port() const;
    void set_port(std::uint16_t port);
    /// `http://127.0.0.1:8080`
    std::string url() const;

    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t raw_size() const { return size_; }

private:
    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

/// A socket that keeps a port for the sockets of open_listener and takes no connection itself. Owns its descriptors.
class PortReservation {
public:
    /// Port 0 becomes a free one, in `address` too. Throws AddressError where anything listens there, another
    /// reservation included, also one that is being made at the same time.
    explicit PortReservation(ListenAddress& address);
    ~PortReservation();
    PortReservation(const PortReservation&) = delete;
    PortReservation& operator=(const PortReservation&) = delete;

private:
    int fd_ = -1;
    shm::system::Descriptor name_;
};

/// A non-blocking listening socket that shares its port with the others of this user. Throws AddressError. The caller
/// closes.
int open_listener(const ListenAddress& address);

}  // namespace larder::tools
