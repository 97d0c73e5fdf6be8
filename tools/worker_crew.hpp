// WorkerCrew: the worker processes of a supervisor, each in its slot; who dies is replaced, and all are, one after the
// other, when they shall know something else.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "shm/system.hpp"
#include "tools/handover.hpp"
#include "tools/http/listen_address.hpp"
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
///
/// The listening sockets are made here and outlive the workers, so that a client who is connected but not yet accepted
/// is served by the next of them; only a pause before the next one closes them. Where the workers become fewer, those
/// that stay take the sockets of the others besides their own: closing one would reset who waits there.
class WorkerCrew {
public:
    using Clock = BackOff::Clock;
    static constexpr std::chrono::milliseconds longest_start{10'000};       ///< of a successor; then it has failed
    static constexpr std::chrono::milliseconds longest_retirement{60'000};  ///< above what a worker takes by itself
    static constexpr std::chrono::milliseconds stuck_after{2'000};          ///< they turn ten times a second

    /// `passed_listener`: the socket that all workers share; below 0: each slot has one of its own. Throws
    /// std::system_error.
    WorkerCrew(std::size_t count, const ListenAddress& address, const ServeStatusPage& status, const Handover& handover,
               int passed_listener = -1);

    /// Starts what is due, goes on with a replacement.
    void start_due(Clock::time_point now);
    /// Takes note of the dead.
    void reap(Clock::time_point now);
    void signal_all(int signal) const;
    /// Nobody connects any more.
    void close_listeners();

    /// Begins to replace all workers, in every slot as soon as the successor listens, then makes them `count`. When a
    /// successor does not come to listen, all is as it was before. A connection that is idle is answered once more,
    /// unless a key is taken away: a token of it gets nothing more. REQUIRES: not replacing. Throws
    /// std::system_error.
    void replace(std::size_t count, const Handover& handover, bool takes_keys_away);
    bool is_replacing() const { return replacing_; }
    /// Of the last replacement, when it is over.
    bool replacement_failed() const { return failed_; }

    bool any_alive() const;
    std::size_t size() const { return slots_.size(); }
    /// Those that take connections and are not stuck: their threads turned a moment ago.
    std::size_t listening() const;
    bool any_listening() const { return listening() != 0; }
    std::size_t deaths() const { return back_off_.total_deaths(); }

private:
    /// Those who know the same.
    struct Generation {
        unsigned number = 0;
        std::size_t count = 0;
        shm::system::Descriptor handover;
    };
    struct Worker {
        pid_t pid = 0;  // 0: none
        unsigned generation = 0;
        Clock::time_point start_at;  // when there is none: the time for the next; else when it was started
    };
    struct Slot {
        Worker worker;
        Worker successor;
    };
    struct Retired {
        pid_t pid = 0;
        Clock::time_point kill_at;
    };
    std::vector<pid_t> pids() const;
    bool start(std::size_t slot, Worker& worker, Clock::time_point now);
    std::vector<int> open_listeners(std::size_t slot);
    void close_listeners(std::size_t slot);
    bool has_ended(pid_t pid, int& status) const;
    void reap_worker(std::size_t slot, Clock::time_point now);
    void reap_retired(Clock::time_point now);
    void go_on(Clock::time_point now);
    void go_on_in(std::size_t slot, Clock::time_point now);
    void retire(std::size_t slot, Clock::time_point now);
    void match_count(Clock::time_point now);
    void give_up(const std::string& why);

    const std::vector<std::string> arguments_;
    const ListenAddress address_;
    const ServeStatusPage& status_;
    const int passed_listener_;
    std::vector<Slot> slots_;
    std::vector<shm::system::Descriptor> listeners_;  // the first by slot
    std::vector<Retired> retired_;
    Generation current_;   // of who is started now
    Generation previous_;  // while replacing: what to return to
    bool replacing_ = false;
    bool failed_ = false;
    int retiring_signal_ = 0;  // to a worker that is replaced
    BackOff back_off_;
};

}  // namespace larder::tools
