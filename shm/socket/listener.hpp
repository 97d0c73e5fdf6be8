// The listener: takes invalidations as lines of text from a Unix socket and says ok once they are applied.
//
// Listening is a role, not a program. Every Listener competes for the role of its lock file; the one that has it serves
// the socket, the others take over within about `retry_interval` when its process dies or stops. No client makes
// another wait: all it may use is bounded (line, output, time to read an answer, number of clients).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "shm/cache.hpp"
#include "shm/socket/notice_sink.hpp"

namespace larder::shm {

struct ListenerOptions {
    std::string socket_path;     ///< NAME.sock
    std::string lock_path;       ///< NAME.listen
    std::function<void()> tick;  ///< called by the listener's thread each tick_interval while it has the role
    std::function<void(LogLevel, std::string_view)> log;  ///< empty: silent. Once for each change, not for each attempt
    std::function<void(const SocketNotice&)> on_notice;   ///< empty: nobody asks

    std::chrono::milliseconds tick_interval{500};
    std::chrono::milliseconds retry_interval{250};      ///< between two attempts to get the role
    std::chrono::milliseconds answer_deadline{10'000};  ///< a client that has not read its answers by then is dropped
    std::chrono::milliseconds hang_up_deadline{
        1'000};                                    ///< for a client to read the `error` line that ends its connection
    std::chrono::milliseconds idle_limit{60'000};  ///< with all places taken, a client idle for longer makes room
    std::size_t max_clients = 64;
};

/// One thread calls run(). A forked child has no listener, whatever its parent did: its copies of the sockets are
/// closed before fork returns there.
class Listener {
public:
    /// `sink` outlives run(). Opens nothing yet.
    Listener(ListenerOptions options, NoticeSink& sink);

    /// Competes and serves until `stop`. On its way out the socket is removed, if it is still this one's, and the role
    /// is free at once. Throws only what making an event loop throws (no descriptors left:
    /// boost::system::system_error).
    void run(const std::stop_token& stop);

    /// This process has the role and takes connections. Any thread; false in a forked child.
    bool listening() const noexcept;

private:
    ListenerOptions options_;
    NoticeSink& sink_;
    std::atomic<std::uint64_t> listening_in_{0};  // process generation, written by run(); 0: not listening
};

/// A Listener that runs in a thread of its own, with all signals blocked there. The destructor stops it and waits for
/// at most one answer and one tick; in a forked child, which has no such thread, it does nothing.
class ListenerThread {
public:
    /// Throws std::system_error where no thread can be made.
    ListenerThread(const ListenerOptions& options, NoticeSink& sink);
    ListenerThread(const ListenerThread&) = delete;
    ListenerThread& operator=(const ListenerThread&) = delete;
    ~ListenerThread();
    bool listening() const noexcept;

private:
    struct Running;
    std::unique_ptr<Running> running_;
    std::uint64_t generation_;  // of the process that has the thread
};

}  // namespace larder::shm
