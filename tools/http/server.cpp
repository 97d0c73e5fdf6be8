#include "tools/http/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tools/http/log_limiter.hpp"

namespace larder::tools {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::chrono::milliseconds first_byte_time{250};  // for a client that had just connected when draining began
constexpr std::size_t max_refusals = 64;                   // connections that are being told 503, beside the others
constexpr int max_accepts_in_a_row = 64;
constexpr std::size_t max_logged_path = 120;
constexpr std::size_t max_rejection_lines = 10;  // in the log, of one worker
constexpr std::chrono::milliseconds rejection_window{10'000};

// The calls that have to wait for something, on threads of their own; the reply comes back to the server's thread.
// (asio::thread_pool waits for ever for the threads that it has when the next cannot be made.)
class ComputePool {
public:
    ComputePool(asio::io_context& io, Service& service, std::size_t threads, std::size_t max_pending)
        : io_(io), service_(service), max_pending_(max_pending + threads) {
        try {
            while (threads_.size() < threads) threads_.emplace_back([this] { work_.run(); });
        } catch (...) {
            work_.stop();
            throw;
        }
    }
    ComputePool(const ComputePool&) = delete;
    ComputePool& operator=(const ComputePool&) = delete;
    ~ComputePool() { work_.stop(); }

    // Moves `reply` away unless it is refused.
    bool submit(const Call& call, ConnectionHost::Reply& reply) {
        if (pending_.load(std::memory_order_relaxed) >= max_pending_) return false;
        pending_.fetch_add(1, std::memory_order_relaxed);
        asio::post(work_, [this, call, reply = std::move(reply)]() mutable {
            auto answer = std::make_shared<Answer>(service_.answer(call));
            asio::post(io_, [reply = std::move(reply), answer = std::move(answer)] { reply(std::move(*answer)); });
            pending_.fetch_sub(1, std::memory_order_release);
        });
        return true;
    }

    // Of one thing at a time; what is refused is asked for again by the next who is served what is stale.
    void refresh(const Call& call) {
        if (pending_.load(std::memory_order_relaxed) >= max_pending_ || !refreshing_.insert(call.id).second) return;
        pending_.fetch_add(1, std::memory_order_relaxed);
        asio::post(work_, [this, call] {
            service_.refresh(call);
            asio::post(io_, [this, id = call.id] { refreshing_.erase(id); });
            pending_.fetch_sub(1, std::memory_order_release);
        });
    }

    bool is_idle() const { return pending_.load(std::memory_order_acquire) == 0; }

private:
    asio::io_context& io_;
    Service& service_;
    const std::size_t max_pending_;
    std::atomic<std::size_t> pending_{0};
    std::unordered_set<std::int64_t> refreshing_;  // the server's thread's
    asio::io_context work_;
    const asio::executor_work_guard<asio::io_context::executor_type> more_work_{work_.get_executor()};
    std::vector<std::jthread> threads_;  // the last member: they end first
};

class Loop final : public ConnectionHost {
public:
    Loop(const ServerOptions& options, const std::vector<int>& listening_fds, Service& service, const KeyRing* keys,
         const std::function<Health()>& health)
        : options_(options),
          service_(service),
          keys_(keys),
          health_(health),
          signals_(io_, SIGTERM, SIGUSR1),
          timer_(io_),
          pool_(io_, service, options.compute_threads, options.max_queued_computations) {
        for (const int fd : listening_fds) doors_.push_back(std::make_unique<Door>(Door{{io_, fd}}));
    }

    bool run(const std::function<void()>& ready, std::function<void()> turned);

    Decision decide(const RequestHead& head) override { return route(head, keys_, WallClock::now()); }
    void on_rejected(const RejectedRequest& request) override;
    static void report_left_out(std::size_t count);
    void execute(const Call& call, Reply reply) override;
    bool is_draining() const override { return draining_; }
    void on_closed(Connection& connection) override { connections_.erase(&connection); }

private:
    struct Door {
        asio::posix::stream_descriptor listener;
        bool is_paused = false;  // until the next tick
    };
    void await_clients(Door& door);
    void accept_clients(Door& door);
    void take(int fd);
    bool make_room();
    void tick();
    void await_end();
    void drain();
    void retire();
    void stop_accepting();
    void close_where(bool (Connection::*condition)() const);
    bool is_done() const { return draining_ && connections_.empty(); }
    Answer health_answer() const;

    const ServerOptions options_;
    Service& service_;
    const KeyRing* keys_;
    const std::function<Health()>& health_;
    asio::io_context io_{1};
    std::vector<std::unique_ptr<Door>> doors_;
    asio::signal_set signals_;
    asio::steady_timer timer_;
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
    std::function<void()> turned_;  // empty: nobody asks
    Connection::Clock::time_point drain_deadline_;
    Connection::Clock::time_point unused_deadline_;  // while draining: for connections that nobody uses
    bool draining_ = false;
    bool retiring_ = false;  // a successor serves: a kind of draining
    LogLimiter rejections_{max_rejection_lines, rejection_window};
    ComputePool pool_;  // the last member: its threads end first
};

bool Loop::run(const std::function<void()>& ready, std::function<void()> turned) {
    await_end();
    for (const auto& door : doors_) await_clients(*door);
    tick();
    ready();
    turned_ = std::move(turned);
    io_.run();
    return connections_.empty() && pool_.is_idle();
}

void Loop::report_left_out(std::size_t count) {
    if (count != 0) spdlog::warn("Requests refused, too many to name each: {}", count);
}

// An attack must not fill the log. Nothing of the token is in it.
void Loop::on_rejected(const RejectedRequest& request) {
    std::size_t left_out = 0;
    if (!rejections_.admit(Connection::Clock::now(), left_out)) return;
    report_left_out(left_out);
    const std::string who = request.caller ? name_of(*request.caller) : "somebody";
    spdlog::warn("{} {} by {} at {} refused with {}: {}{}", request.method, request.path.substr(0, max_logged_path),
                 who, request.client, request.status, request.caller ? "" : "its token: ", request.reason);
}

void Loop::await_end() {
    signals_.async_wait([this](error_code error, int signal) {
        if (error) return;
        if (signal == SIGTERM) return drain();
        retire();
        await_end();
    });
}

void Loop::execute(const Call& call, Reply reply) {
    if (call.endpoint == Endpoint::health) return reply(health_answer());
    if (std::optional<Answer> answer = service_.answer_at_once(call)) {
        if (answer->stale) pool_.refresh(call);
        return reply(std::move(*answer));
    }
    if (!pool_.submit(call, reply))
        reply(error_answer(Fault::unavailable, "Too much to compute; try again in a moment."));
}

Answer Loop::health_answer() const {
    const Health health = draining_ && !retiring_ ? Health::draining : health_();
    if (health == Health::starting)
        return error_answer(Fault::unavailable,
                            "Starting, or the database cannot be read: changes are not relayed yet.");
    if (health == Health::draining) return error_answer(Fault::unavailable, "Ending: no new requests are taken.");
    if (health == Health::degraded) return json_answer(R"({"status":"degraded"})");
    return json_answer(R"({"status":"ok"})");
}

void Loop::await_clients(Door& door) {
    door.listener.async_wait(asio::posix::stream_descriptor::wait_read, [this, &door](error_code error) {
        if (error || draining_) return;
        accept_clients(door);
        if (!door.is_paused) await_clients(door);
    });
}

void Loop::accept_clients(Door& door) {
    for (int i = 0; i < max_accepts_in_a_row; ++i) {
        const int fd = ::accept4(door.listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // No descriptors or no memory: the next tick tries again, since readiness would be reported without end.
        if (errno != EAGAIN && errno != EWOULDBLOCK) door.is_paused = true;
        return;
    }
}

void Loop::take(int fd) {
    const bool has_room = connections_.size() < options_.max_connections || make_room();
    if (!has_room && connections_.size() >= options_.max_connections + max_refusals) {
        ::close(fd);
        return;
    }
    auto connection = make_connection(io_, fd, *this, options_.limits);
    connections_.emplace(connection.get(), connection);
    if (has_room)
        connection->start();
    else
        connection->refuse();
}

bool Loop::make_room() {
    Connection* unused = nullptr;  // the one that will be closed for it soonest
    for (const auto& [connection, owner] : connections_)
        if (connection->is_unused() && (unused == nullptr || connection->deadline() < unused->deadline()))
            unused = connection;
    if (unused == nullptr) return false;
    unused->close();
    return true;
}

void Loop::tick() {
    if (turned_) turned_();
    const auto now = Connection::Clock::now();
    report_left_out(rejections_.take_left_out(now));
    std::vector<std::shared_ptr<Connection>> due;  // a connection that closes leaves the map
    for (const auto& [connection, owner] : connections_)
        if (connection->deadline() <= now) due.push_back(owner);
    for (const auto& connection : due) connection->tick(now);
    for (const auto& door : doors_)
        if (!draining_ && std::exchange(door->is_paused, false)) await_clients(*door);
    if (draining_ && now >= unused_deadline_) close_where(&Connection::is_unused);
    if (is_done() || (draining_ && now >= drain_deadline_)) return io_.stop();
    timer_.expires_after(draining_ ? tick_interval / 10 : tick_interval);
    timer_.async_wait([this](error_code error) {
        if (!error) tick();
    });
}

void Loop::drain() {
    stop_accepting();
    retiring_ = false;
    drain_deadline_ = Connection::Clock::now() + options_.drain_time;
    unused_deadline_ = Connection::Clock::now() + first_byte_time;
    close_where(&Connection::is_idle);
    timer_.cancel();
    tick();
}

// A client may be about to ask on a connection that is idle: it is answered once more, and told that this was the last.
void Loop::retire() {
    if (draining_) return;
    stop_accepting();
    retiring_ = true;
    unused_deadline_ = Connection::Clock::now() + options_.drain_time;
    drain_deadline_ = unused_deadline_ + options_.limits.answer_time + options_.limits.write_time;
    timer_.cancel();
    tick();
}

void Loop::stop_accepting() {
    if (draining_) return;
    for (const auto& door : doors_) accept_clients(*door);  // who was already connected to us is still served
    draining_ = true;
    for (const auto& door : doors_) door->listener.close();
}

void Loop::close_where(bool (Connection::*condition)() const) {
    std::vector<std::shared_ptr<Connection>> chosen;  // a connection that closes leaves the map
    for (const auto& [connection, owner] : connections_)
        if ((connection->*condition)()) chosen.push_back(owner);
    for (const auto& connection : chosen) connection->close();
}

}  // namespace

Server::Server(ServerOptions options, std::vector<int> listening_fds, Service& service, const KeyRing* keys,
               std::function<Health()> health)
    : options_(options),
      listening_fds_(std::move(listening_fds)),
      service_(service),
      keys_(keys),
      health_(std::move(health)) {}

bool Server::run(const std::function<void()>& ready, const std::function<void()>& turned) {
    auto loop = std::make_unique<Loop>(options_, listening_fds_, service_, keys_, health_);
    if (loop->run(ready, turned)) return true;
    static_cast<void>(loop.release());  // its threads are still at work on what it owns
    return false;
}

}  // namespace larder::tools
