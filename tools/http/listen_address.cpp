#include "tools/http/listen_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

namespace larder::tools {
namespace {

using shm::system::Descriptor;

constexpr int backlog = 1'024;

std::pair<std::string, std::string> split(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) throw AddressError(fmt::format("`{}` has no port: write HOST:PORT", text));
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const bool bare_ipv6 = !bracketed && host.find(':') != std::string_view::npos;
    if (host.empty() || bare_ipv6)
        throw AddressError(fmt::format("`{}` is no address: write 127.0.0.1:8080 or [::1]:8080", text));
    return {std::string(host), std::string(text.substr(colon + 1))};
}

std::uint16_t parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        throw AddressError(fmt::format("`{}` is no port: write a number from 0 to 65535", text));
    return port;
}

std::string reason() { return std::generic_category().message(errno); }

int open_socket(const ListenAddress& address) {
    const int fd = ::socket(address.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw AddressError("no socket could be made: " + reason());
    return fd;
}

void switch_on(int fd, int option) {
    const int on = 1;
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on));
}

[[noreturn]] void refuse(int fd, const ListenAddress& address) {
    const int error = errno;
    ::close(fd);
    errno = error;
    if (error == EADDRINUSE)
        throw AddressError(fmt::format("port {} is taken: end what listens on {}, or choose another with --listen",
                                       address.port(), address.url()));
    throw AddressError(fmt::format("cannot listen on {}: {}", address.url(), reason()));
}

/// An abstract name in the same network namespace, which the kernel gives to one process at a time and takes back from
/// a dead one: of two that look at a free port at once, one gets it.
Descriptor take_name(const ListenAddress& address) {
    const std::string name = "larder-serve:" + address.url();
    sockaddr_un unix_address{};
    unix_address.sun_family = AF_UNIX;
    static_assert(sizeof unix_address.sun_path > 1 + sizeof "larder-serve:http://[]:65535" + INET6_ADDRSTRLEN);
    name.copy(unix_address.sun_path + 1, name.size());
    const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw AddressError("no socket could be made: " + reason());
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&unix_address), size) != 0) refuse(fd, address);
    return Descriptor(fd);
}

// Without SO_REUSEPORT the kernel says who is there already: listening workers, and the reservation of another
// supervisor.
void check_free(const ListenAddress& address) {
    const int probe = open_socket(address);
    switch_on(probe, SO_REUSEADDR);  // past the connections that have ended a moment ago
    if (::bind(probe, address.raw(), address.raw_size()) != 0) refuse(probe, address);
    ::close(probe);
}

}  // namespace

ListenAddress ListenAddress::parse(std::string_view text) {
    const auto [host, port_text] = split(text);
    const std::uint16_t port = parse_port(port_text);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    // Always the loopback, whatever a hosts file says or lacks (RFC 6761).
    const std::string named = host == "localhost" ? "127.0.0.1" : host;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(named.c_str(), nullptr, &hints, &found);
    if (error != 0) throw AddressError(fmt::format("`{}` is no address of this host: {}", host, ::gai_strerror(error)));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    ListenAddress address;
    std::memcpy(&address.storage_, found->ai_addr, found->ai_addrlen);
    address.size_ = found->ai_addrlen;
    address.set_port(port);
    return address;
}

ListenAddress ListenAddress::of_socket(int fd) {
    ListenAddress address;
    address.size_ = sizeof address.storage_;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0)
        throw AddressError("the address of a socket: " + reason());
    return address;
}

bool ListenAddress::is_loopback() const {
    if (storage_.ss_family == AF_INET)
        return (ntohl(reinterpret_cast<const sockaddr_in&>(storage_).sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr);
}

// The port stands at the same place in both families.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
std::uint16_t ListenAddress::port() const { return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port); }
void ListenAddress::set_port(std::uint16_t port) { reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port); }

std::string ListenAddress::url() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const bool v4 = storage_.ss_family == AF_INET;
    const void* const binary = v4 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(storage_).sin_addr)
                                  : &reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr;
    ::inet_ntop(storage_.ss_family, binary, text.data(), text.size());
    return v4 ? fmt::format("http://{}:{}", text.data(), port()) : fmt::format("http://[{}]:{}", text.data(), port());
}

PortReservation::PortReservation(ListenAddress& address) {
    if (address.port() != 0) {
        name_ = take_name(address);
        check_free(address);
    }
    fd_ = open_socket(address);
    switch_on(fd_, SO_REUSEPORT);  // and not SO_REUSEADDR: check_free of another supervisor must fail from now on
    if (::bind(fd_, address.raw(), address.raw_size()) != 0) {
        // Ended connections of a program that did not share its port.
        if (errno != EADDRINUSE) refuse(fd_, address);
        switch_on(fd_, SO_REUSEADDR);
        if (::bind(fd_, address.raw(), address.raw_size()) != 0) refuse(fd_, address);
    }
    address.set_port(ListenAddress::of_socket(fd_).port());
    if (!name_.is_open()) name_ = take_name(address);
}

PortReservation::~PortReservation() { ::close(fd_); }

int open_listener(const ListenAddress& address) {
    const int fd = open_socket(address);
    switch_on(fd, SO_REUSEADDR);
    switch_on(fd, SO_REUSEPORT);
    if (::bind(fd, address.raw(), address.raw_size()) != 0 || ::listen(fd, backlog) != 0) refuse(fd, address);
    return fd;
}

}  // namespace larder::tools
