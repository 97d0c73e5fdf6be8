// ServiceManager: what a service and the service manager that started it (systemd) tell each other: sd_notify(3),
// sd_listen_fds(3). Where none started it, all of it does nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "shm/system.hpp"

namespace larder::tools {

/// How `larder serve` stands.
struct ServiceState {
    std::size_t workers = 0, workers_listening = 0;
    bool relay_caught_up = false, started = false;
};

/// The main process's side of the conversation. One thread.
class ServiceManager {
public:
    using Clock = std::chrono::steady_clock;

    ServiceManager();

    /// For every turn of the supervisor's loop. Says once that the service is ready: a worker listens and it has
    /// started; says how it stands when that changes; and keeps the watchdog content, at half its interval, while a
    /// worker listens and is not stuck: neither a loop that stands still nor a service that nobody can reach does.
    void tell(const ServiceState& state, Clock::time_point now);

private:
    std::chrono::microseconds beat_interval_{0};  // 0: there is no watchdog
    Clock::time_point last_beat_;
    std::string last_status_;
    bool is_ready_ = false;
};

/// The end has begun.
void notify_stopping();

/// Around the reading of a new configuration; the service is ready again after it, whether or not it was taken over.
void notify_reloading();
void notify_reloaded();

/// The listening TCP socket that the service manager opened for us (socket activation), non-blocking; none: not open.
/// Once. Throws AddressError where it passed anything else, or several.
shm::system::Descriptor take_passed_listener();

}  // namespace larder::tools
