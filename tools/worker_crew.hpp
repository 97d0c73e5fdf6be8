// WorkerCrew: the worker processes of a supervisor, each in its slot; who dies is replaced.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tools/serve_status.hpp"

namespace larder::tools {

/// How long to wait before a dead worker is replaced: not at all, until there were five deaths within 10 s.
class BackOff {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t patient_deaths = 5;
    static constexpr std::chrono::milliseconds window{10'000};
    static constexpr std::chrono::milliseconds first_pause{1'000};
    static constexpr std::chrono::milliseconds longest_pause{10'000};

    void note_death(Clock::time_point now);
    std::chrono::milliseconds pause() const { return pause_; }
    std::size_t total_deaths() const { return total_; }

private:
    std::deque<Clock::time_point> deaths_;  // of the last `window`
    std::chrono::milliseconds pause_{0};
    std::size_t total_ = 0;
};

/// The supervisor's command line with the ticket right behind the verb: what the user gave may end with `--`.
std::vector<std::string> worker_command_line(std::vector<std::string> supervisors, const WorkerTicket& ticket);

/// Workers are this program, executed anew with its own command line and a WorkerTicket in it: a fork of a process
/// that has threads could inherit locks that nobody will open. They are direct children. One thread, which must live as
/// long as the workers, since they die with the thread that started them.
class WorkerCrew {
public:
    using Clock = BackOff::Clock;

    /// `passed_listener`: the socket that all workers share; below 0: each opens its own on `port`.
    WorkerCrew(std::size_t count, std::uint16_t port, const ServeStatusPage& status, int passed_listener = -1);

    /// Starts what is due.
    void start_due(Clock::time_point now);
    /// Takes note of the dead.
    void reap(Clock::time_point now);
    void signal_all(int signal) const;

    bool any_alive() const;
    std::size_t size() const { return workers_.size(); }
    std::size_t listening() const;
    bool any_listening() const { return listening() != 0; }
    std::size_t deaths() const { return back_off_.total_deaths(); }

private:
    struct Worker {
        pid_t pid = 0;  // 0: none
        Clock::time_point start_at;
    };
    void start(std::size_t slot, Clock::time_point now);

    const std::vector<std::string> arguments_;
    const std::uint16_t port_;
    const ServeStatusPage& status_;
    const int passed_listener_;
    std::vector<Worker> workers_;
    BackOff back_off_;
};

}  // namespace larder::tools
