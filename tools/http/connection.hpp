// Connection: one client's HTTP/1.1 connection, from the first byte to the last, with a limit and a deadline on
// everything.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/http/answer.hpp"
#include "tools/http/router.hpp"

namespace boost::asio {
class io_context;
}

namespace larder::tools {

struct ConnectionLimits {
    std::size_t header_bytes = 8 * 1024;             ///< above: 431
    std::size_t body_bytes = 64 * 1024;              ///< above: 413
    std::chrono::milliseconds request_time{10'000};  ///< from its first byte to its last; above: 408
    std::chrono::milliseconds idle_time{60'000};     ///< between two requests; then closed
    std::chrono::milliseconds answer_time{30'000};   ///< until the answer is found; above: 503
    std::chrono::milliseconds write_time{10'000};    ///< until the answer is taken; then closed
    std::chrono::milliseconds linger_time{1'000};    ///< for the client to read a last answer
};

/// One that was not let in, for the log.
struct RejectedRequest {
    std::string_view method, path;  ///< without its query
    std::string client;             ///< its address
    std::optional<Caller> caller;   ///< nobody knows: no token was accepted
    unsigned status = 0;
    std::string_view reason;
};

/// What a connection asks of its server. All calls come from the server's one thread.
class ConnectionHost {
public:
    using Reply = std::function<void(Answer)>;

    virtual ~ConnectionHost() = default;
    virtual Decision decide(const RequestHead& head) = 0;
    virtual void on_rejected(const RejectedRequest& request) = 0;
    /// Answers through `reply`, once, on the server's thread: within the call or later.
    virtual void execute(const Call& call, Reply reply) = 0;
    /// No request after the running one.
    virtual bool is_draining() const = 0;
    /// The connection is over; the host may drop it.
    virtual void on_closed(class Connection& connection) = 0;
};

/// Requests are answered in their order, one at a time, also when a client sends several ahead. Not thread-safe.
class Connection {
public:
    using Clock = std::chrono::steady_clock;

    virtual ~Connection() = default;
    virtual void start() = 0;
    /// Answers 503 without reading, then closes.
    virtual void refuse() = 0;
    /// Enforces the deadline of what the connection is doing. To be called a few times a second.
    virtual void tick(Clock::time_point now) = 0;
    /// Between two requests.
    virtual bool is_idle() const = 0;
    /// No request is going on, not even its first byte.
    virtual bool is_unused() const = 0;
    virtual Clock::time_point deadline() const = 0;
    virtual void close() = 0;
};

/// Takes over a connected, non-blocking socket. `host` outlives the connection's on_closed.
std::shared_ptr<Connection> make_connection(boost::asio::io_context& io, int socket_fd, ConnectionHost& host,
                                            const ConnectionLimits& limits);

}  // namespace larder::tools
