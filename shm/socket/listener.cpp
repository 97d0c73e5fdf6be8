#include "shm/socket/listener.hpp"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

#include "shm/process.hpp"
#include "shm/socket/bound_socket.hpp"
#include "shm/socket/fork_guard.hpp"
#include "shm/socket/line_buffer.hpp"
#include "shm/socket/listener_role.hpp"
#include "shm/socket/protocol.hpp"

namespace larder::shm {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 << 10;      // of one read
constexpr std::size_t kOutputBytes = 16 << 10;    // of answers kept for a client, and one answer more
constexpr std::size_t kDiscardedBytes = 1 << 20;  // read from a client that was told to go, so that it reads why
constexpr int kLinesPerTurn = 32;                 // of one client, then the others have their turn
constexpr int kAcceptsPerTurn = 16;
constexpr std::size_t kLeavingClients = 16;             // that are told why; more are closed at once
constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process has no descriptor left
constexpr std::chrono::milliseconds kLongestWait{500};

std::string why(int error) { return std::generic_category().message(error); }

template <class Socket>
void close_guarded(Socket& socket) {
    if (!socket.is_open()) return;
    const auto guard = hold_off_forks();
    forget_in_children(socket.native_handle());
    ErrorCode ignored;
    socket.close(ignored);
}

// REQUIRES: a forked child closes the descriptor.
template <class Socket>
bool adopt_guarded(Socket& socket, int descriptor) {
    ErrorCode error;
    socket.assign(stream_protocol(), descriptor, error);
    if (!error) return true;
    const auto guard = hold_off_forks();
    forget_in_children(descriptor);
    ::close(descriptor);
    return false;
}

int accept_guarded(int listening) {
    const auto guard = hold_off_forks();
    const int descriptor = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) close_in_children(descriptor);
    return descriptor;
}

/// As it was when it connected; nothing: nobody knows.
std::optional<ucred> peer_of(int descriptor) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
    return peer;
}

bool is_foreign(const std::optional<ucred>& peer) { return !peer || (peer->uid != geteuid() && peer->uid != 0); }

class Session;

// What the sessions share with the loop that runs them, and with no other thread.
struct Host {
    const ListenerOptions& options;
    NoticeSink& sink;
    asio::io_context io{1};
    std::set<std::shared_ptr<Session>> sessions;
};

/// One client: reads, answers, writes, one after the other. While answers wait to be written nothing more is read.
class Session : public std::enable_shared_from_this<Session> {
public:
    Session(Host& host, const std::optional<ucred>& peer)
        : host_(host),
          peer_(peer.value_or(ucred{})),
          socket_(host.io),
          deadline_(host.io),
          last_use_(SteadyClock::now()) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { close_guarded(socket_); }

    /// Owns the descriptor from now on. False: it is closed, there is no room to watch it.
    bool adopt(int descriptor) { return adopt_guarded(socket_, descriptor); }
    void start() { read(); }
    /// Says why, and closes.
    void refuse(std::string_view reason) {
        leave_with(reason);
        write();
    }
    void close() {
        deadline_.cancel();
        close_guarded(socket_);
        host_.sessions.erase(shared_from_this());
    }

    bool leaving() const { return leaving_; }
    /// When it last sent or took something; the maximum: it is being answered.
    SteadyClock::time_point idle_since() const { return reading_ ? last_use_ : SteadyClock::time_point::max(); }

private:
    // Whatever goes wrong within a session ends that session only.
    template <class Step>
    void guarded(Step step) {
        if (!socket_.is_open()) return;
        try {
            step();
        } catch (const std::exception&) {
            close();
        }
    }

    void read() {
        reading_ = true;
        const std::span<char> room = input_.room(kReadBytes);
        socket_.async_read_some(asio::buffer(room.data(), room.size()),
                                [self = shared_from_this()](const ErrorCode& error, std::size_t bytes) {
                                    self->guarded([&] { self->after_read(error, bytes); });
                                });
    }

    void after_read(const ErrorCode& error, std::size_t bytes) {
        reading_ = false;
        last_use_ = SteadyClock::now();
        if (error && error != asio::error::eof) return close();
        if (error) input_.finish();
        input_.commit(bytes);
        answer_lines();
    }

    void answer_lines() {
        for (int turn = 0; turn < kLinesPerTurn && output_.size() < kOutputBytes && !leaving_; ++turn) {
            std::string_view line;
            const LineBuffer::Found found = input_.next(line);
            if (found == LineBuffer::Found::nothing) break;
            if (found == LineBuffer::Found::line) {
                const std::string answer = answer_to(line, host_.sink);
                report(line, answer);
                output_ += answer;
            } else {
                leave_with("a line has at most " + std::to_string(kMaxLineBytes) +
                           " bytes; send several, or name a tag or a namespace");
            }
        }
        if (!output_.empty()) return write();
        if (input_.finished()) return close();
        read();
    }

    void report(std::string_view line, std::string_view answer) const noexcept {
        if (!host_.options.on_notice) return;
        try {
            const std::optional<Answer> said = parse_answer(answer.substr(0, answer.size() - 1));
            if (said && said->ok && said->notice != 0)
                host_.options.on_notice({peer_.uid, peer_.pid, line, said->notice});
        } catch (...) {
            return;  // the notice is applied, whoever cannot be told of it
        }
    }

    void leave_with(std::string_view reason) {
        output_ += error_answer(reason);
        leaving_ = true;
    }

    void write() {
        close_after(leaving_ ? host_.options.hang_up_deadline : host_.options.answer_deadline);
        asio::async_write(socket_, asio::buffer(output_),
                          [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                              self->guarded([&] { self->after_write(error); });
                          });
    }

    void after_write(const ErrorCode& error) {
        if (error) return close();
        deadline_.expires_at(SteadyClock::time_point::max());
        output_.clear();
        if (output_.capacity() > 2 * kOutputBytes) output_.shrink_to_fit();
        last_use_ = SteadyClock::now();
        if (!leaving_) return answer_lines();
        // Closing with bytes unread would reset the connection, and a client that is still writing would not see why.
        ErrorCode ignored;
        socket_.shutdown(stream_protocol::socket::shutdown_send, ignored);
        close_after(host_.options.hang_up_deadline);
        input_ = LineBuffer(0);
        discard(0);
    }

    void discard(std::size_t so_far) {
        if (so_far > kDiscardedBytes) return close();
        const std::span<char> room = input_.room(kReadBytes);
        socket_.async_read_some(asio::buffer(room.data(), room.size()),
                                [self = shared_from_this(), so_far](const ErrorCode& error, std::size_t bytes) {
                                    self->guarded([&] { error ? self->close() : self->discard(so_far + bytes); });
                                });
    }

    void close_after(std::chrono::milliseconds time) {
        deadline_.expires_after(time);
        deadline_.async_wait([self = shared_from_this()](const ErrorCode& error) {
            // Moved meanwhile: this call was already on its way.
            if (!error && self->deadline_.expiry() <= SteadyClock::now()) self->guarded([&] { self->close(); });
        });
    }

    Host& host_;
    const ucred peer_;
    stream_protocol::socket socket_;
    asio::steady_timer deadline_;
    LineBuffer input_{kMaxLineBytes};
    std::string output_;
    SteadyClock::time_point last_use_;
    bool reading_ = false;  // waits for requests: never once it leaves
    bool leaving_ = false;
};

/// The event loop of one run: competes, accepts, ticks. The stop callback alone calls it from another thread.
class Loop {
public:
    Loop(const ListenerOptions& options, NoticeSink& sink, std::atomic<std::uint64_t>& listening_in)
        : host_{options, sink},
          listening_in_(listening_in),
          role_(options.lock_path),
          bound_(options.socket_path),
          acceptor_(host_.io),
          beat_timer_(host_.io),
          accept_timer_(host_.io) {}
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop() { step_down(); }

    /// Looks up now and then: where the kernel cannot watch what would wake it (epoll_ctl fails), stop() does not.
    void run() {
        if (!host_.io.stopped()) beat();
        while (!host_.io.stopped()) {
            try {
                host_.io.run_for(kLongestWait);
            } catch (const std::exception& problem) {
                log(LogLevel::error, std::string("the listener goes on after: ") + problem.what());
            }
        }
    }
    void stop() { host_.io.stop(); }

private:
    void log(LogLevel level, std::string_view text) const noexcept {
        try {
            if (host_.options.log) host_.options.log(level, text);
        } catch (...) {
            return;  // a log that fails must not end the listener
        }
    }

    /// Says what is wrong when it changes.
    void report(const std::string& problem) {
        if (problem != last_problem_ && !problem.empty()) log(LogLevel::error, problem);
        last_problem_ = problem;
    }

    void beat() {
        try {
            if (acceptor_.is_open()) {
                keep();
            } else {
                compete();
            }
        } catch (const std::exception& problem) {
            report(problem.what());
        }
        beat_timer_.expires_after(acceptor_.is_open() ? host_.options.tick_interval : host_.options.retry_interval);
        beat_timer_.async_wait([this](const ErrorCode& error) {
            if (!error) beat();
        });
    }

    void compete() {
        if (!role_.try_take()) return report(role_.problem());
        if (!listen_anew()) return role_.release();
        if (host_.options.tick) host_.options.tick();
    }

    void keep() {
        if (!role_.still_held()) {
            log(LogLevel::warning, host_.options.lock_path + " was replaced: competing for the listener's role again");
            return step_down();
        }
        if (!bound_.is_ours()) {
            log(LogLevel::warning, host_.options.socket_path + " was removed: making it again");
            close_guarded(acceptor_);
            if (!listen_anew()) return step_down();
        }
        if (host_.options.tick) host_.options.tick();
    }

    bool listen_anew() {
        const int descriptor = bound_.open();
        report(bound_.problem());
        if (descriptor < 0 || !adopt_guarded(acceptor_, descriptor)) return false;
        log(LogLevel::info, "listening on " + host_.options.socket_path);
        if (!bound_.direct())
            log(LogLevel::warning,
                "the path of the socket has over 107 bytes: nc and others cannot reach it, larder can; "
                "a shorter directory helps");
        listening_in_.store(process::generation(), std::memory_order_release);
        accept_soon();
        return true;
    }

    void step_down() {
        listening_in_.store(0, std::memory_order_release);
        if (role_.still_held()) bound_.remove_if_ours();
        close_guarded(acceptor_);
        const auto leaving = std::move(host_.sessions);
        host_.sessions.clear();
        for (const auto& session : leaving) session->close();
        role_.release();
    }

    void accept_soon() {
        acceptor_.async_wait(stream_protocol::acceptor::wait_read, [this](const ErrorCode& error) {
            if (error || !acceptor_.is_open()) return;
            try {
                accept_some();
            } catch (const std::exception& problem) {
                accept_after_pause(problem.what());
            }
        });
    }

    void accept_some() {
        for (int turn = 0; turn < kAcceptsPerTurn; ++turn) {
            const int descriptor = accept_guarded(acceptor_.native_handle());
            if (descriptor < 0 && errno == EAGAIN) break;
            if (descriptor < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
                return accept_after_pause(why(errno));
            if (descriptor < 0) continue;  // the client is gone already
            const std::optional<ucred> peer = peer_of(descriptor);
            const auto session = std::make_shared<Session>(host_, peer);
            if (session->adopt(descriptor)) admit(session, is_foreign(peer));
        }
        accept_soon();
    }

    void accept_after_pause(const std::string& problem) {
        report("cannot accept a client: " + problem + "; raise the limits of open files and memory");
        accept_timer_.expires_after(kAcceptPause);
        accept_timer_.async_wait([this](const ErrorCode& error) {
            if (!error && acceptor_.is_open()) accept_soon();
        });
    }

    void admit(const std::shared_ptr<Session>& session, bool foreign) {
        const auto leaving = static_cast<std::size_t>(std::count_if(
            host_.sessions.begin(), host_.sessions.end(), [](const auto& other) { return other->leaving(); }));
        const std::size_t staying = host_.sessions.size() - leaving;
        const bool full = !foreign && staying >= host_.options.max_clients && !make_room();
        if (!foreign && !full) {
            host_.sessions.insert(session);
            return session->start();
        }
        if (leaving >= kLeavingClients) return;
        host_.sessions.insert(session);
        session->refuse(foreign ? "this cache belongs to another user"
                                : std::string(kFullReason) + ": there are " + std::to_string(staying) +
                                      " already; close one, or try again");
    }

    bool make_room() {
        const auto longest_idle = std::min_element(
            host_.sessions.begin(), host_.sessions.end(),
            [](const auto& one, const auto& other) { return one->idle_since() < other->idle_since(); });
        if (longest_idle == host_.sessions.end()) return false;
        if ((*longest_idle)->idle_since() > SteadyClock::now() - host_.options.idle_limit) return false;
        const std::shared_ptr<Session> session = *longest_idle;
        session->close();
        return true;
    }

    Host host_;
    std::atomic<std::uint64_t>& listening_in_;
    ListenerRole role_;
    BoundSocket bound_;
    stream_protocol::acceptor acceptor_;
    asio::steady_timer beat_timer_;
    asio::steady_timer accept_timer_;
    std::string last_problem_;
};

// Signals are the program's: its handlers run in its own threads. What a fault raises is never blocked.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

}  // namespace

Listener::Listener(ListenerOptions options, NoticeSink& sink) : options_(std::move(options)), sink_(sink) {}

void Listener::run(const std::stop_token& stop) {
    Loop loop(options_, sink_, listening_in_);
    const std::stop_callback wake(stop, [&loop] { loop.stop(); });
    loop.run();
}

bool Listener::listening() const noexcept {
    return listening_in_.load(std::memory_order_acquire) == process::generation();
}

struct ListenerThread::Running {
    Running(const ListenerOptions& options, NoticeSink& sink)
        : log(options.log), retry_interval(options.retry_interval), listener(options, sink) {}

    /// Where no event loop can be made (no descriptors left), that is tried again, too.
    void run(const std::stop_token& stop) noexcept {
        while (!stop.stop_requested()) {
            try {
                return listener.run(stop);
            } catch (const std::exception& problem) {
                report(problem.what());
            }
            std::unique_lock lock(mutex);
            stopped.wait_for(lock, stop, retry_interval, [] { return false; });
        }
    }
    /// Each problem once, until it is another.
    void report(const char* problem) noexcept {
        try {
            if (log && problem != last_problem)
                log(LogLevel::error, std::string("no listener in this process for now: ") + problem);
            last_problem = problem;
        } catch (...) {
            return;  // a log that fails must not end the listener
        }
    }

    const std::function<void(LogLevel, std::string_view)> log;
    const std::chrono::milliseconds retry_interval;
    std::string last_problem;
    Listener listener;
    std::mutex mutex;  // guards nothing: waiting needs one
    std::condition_variable_any stopped;
    std::jthread thread;
};

ListenerThread::ListenerThread(const ListenerOptions& options, NoticeSink& sink)
    : running_(std::make_unique<Running>(options, sink)), generation_(process::generation()) {
    const SignalsBlocked inherited_by_the_thread;
    running_->thread = std::jthread([running = running_.get()](const std::stop_token& stop) { running->run(stop); });
}

ListenerThread::~ListenerThread() {
    if (process::generation() != generation_)
        static_cast<void>(running_.release());  // joining a thread that is not there never ends
}

bool ListenerThread::listening() const noexcept { return running_->listener.listening(); }

}  // namespace larder::shm
