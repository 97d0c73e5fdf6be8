#include "tools/service_manager.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <system_error>

#include "tools/http/listen_address.hpp"

namespace larder::tools {
namespace {

/// Above the numbers at which workers find what they inherit.
constexpr int lowest_kept_fd = 16;

// What cannot be told is logged; the service goes on.
void notify(const std::string& message) {
    const int result = ::sd_notify(0, message.c_str());
    if (result < 0)
        spdlog::warn("The service manager cannot be told `{}`: {}", message.substr(0, message.find('\n')),
                     std::generic_category().message(-result));
}

std::string status_text(const ServiceState& state) {
    return fmt::format("{} of {} workers listen{}", state.workers_listening, state.workers,
                       state.relay_caught_up ? "" : "; changes in the database are not relayed yet");
}

bool is_listening_tcp(int fd) {
    return ::sd_is_socket_inet(fd, AF_INET, SOCK_STREAM, 1, 0) > 0 ||
           ::sd_is_socket_inet(fd, AF_INET6, SOCK_STREAM, 1, 0) > 0;
}

}  // namespace

ServiceManager::ServiceManager() {
    std::uint64_t limit_us = 0;
    if (::sd_watchdog_enabled(0, &limit_us) > 0) beat_interval_ = std::chrono::microseconds(limit_us / 2);
}

void ServiceManager::tell(const ServiceState& state, Clock::time_point now) {
    std::string message;
    if (!is_ready_ && state.workers_listening != 0 && state.started) {
        is_ready_ = true;
        message += "READY=1\n";
    }
    if (const std::string status = status_text(state); status != last_status_) {
        last_status_ = status;
        message += "STATUS=" + status + "\n";
    }
    if (beat_interval_.count() != 0 && state.workers_listening != 0 && now - last_beat_ >= beat_interval_) {
        last_beat_ = now;
        message += "WATCHDOG=1\n";
    }
    if (!message.empty()) notify(message);
}

void notify_stopping() { notify("STOPPING=1\nSTATUS=Ending: requests that have begun are finished\n"); }

void notify_reloading() {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
        ServiceManager::Clock::now().time_since_epoch());  // CLOCK_MONOTONIC
    notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", now.count()));
}

void notify_reloaded() { notify("READY=1\n"); }

shm::system::Descriptor take_passed_listener() {
    const int passed = ::sd_listen_fds(1);
    if (passed < 0) throw AddressError("the service manager's sockets: " + std::generic_category().message(-passed));
    if (passed == 0) return shm::system::Descriptor();
    if (passed > 1)
        throw AddressError(fmt::format(
            "{} sockets were passed, and one is served: write one ListenStream= in the socket unit", passed));
    const shm::system::Descriptor first(SD_LISTEN_FDS_START);
    if (!is_listening_tcp(first.number()))
        throw AddressError(
            "what was passed is no listening TCP socket: write ListenStream=HOST:PORT and Accept=no in the socket "
            "unit");
    shm::system::Descriptor kept(::fcntl(first.number(), F_DUPFD_CLOEXEC, lowest_kept_fd));
    const int flags = ::fcntl(kept.number(), F_GETFL);
    if (flags < 0 || ::fcntl(kept.number(), F_SETFL, flags | O_NONBLOCK) != 0)
        throw AddressError("the passed socket: " + std::generic_category().message(errno));
    return kept;
}

}  // namespace larder::tools
