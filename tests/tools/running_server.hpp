// The HTTP server in a process of its own, before a service that answers as the test says.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/child_process.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/http/server.hpp"

namespace larder::test {

inline constexpr std::int64_t slow_id = 1'000;   // answered when the test says so
inline constexpr std::int64_t foreign_id = 998;  // of another author
inline constexpr std::size_t large_size = 3'000'000;

/// Counts, in events of a megabyte.
class FakeStream final : public tools::EventStream {
public:
    static constexpr std::size_t event_bytes = 1'000'000;
    std::shared_ptr<const std::string> next() override {
        return std::make_shared<const std::string>("data: " + std::string(event_bytes, 'x') + std::to_string(++count_) +
                                                   "\n\n");
    }

private:
    int count_ = 0;
};

/// Ids below 1000 are ready, with a body of `id` in digits; the others wait for a byte from the test.
class FakeService final : public tools::Service {
public:
    explicit FakeService(Channel& test) : test_(test) {}
    std::optional<tools::Answer> answer_at_once(const tools::Call& call) override {
        return call.id < slow_id ? std::optional(answer(call)) : std::nullopt;
    }
    tools::Answer answer(const tools::Call& call) override {
        if (call.id == foreign_id) return tools::error_answer(tools::Fault::forbidden, "Not yours.");
        if (call.check_only) return {};
        if (call.endpoint == tools::Endpoint::events) {
            tools::Answer stream;
            stream.content_type = "text/event-stream";
            stream.events = std::make_shared<FakeStream>();
            return stream;
        }
        if (call.id >= slow_id) {
            test_.tell('s');
            test_.hear();
        }
        if (call.id == 999) return tools::json_answer(std::string(large_size, 'x'));
        return tools::json_answer(std::to_string(call.id));
    }

private:
    Channel& test_;
};

/// A server in a child process, on a free port of loopback.
class RunningServer {
public:
    explicit RunningServer(tools::ServerOptions options = {}, tools::Health health = tools::Health::ok)
        : address_(tools::ListenAddress::parse("127.0.0.1:0")),
          reservation_(address_),
          child_(ChildProcess::start([this, options, health](Channel& test) {
              FakeService service(test);
              tools::Server server(options, {tools::open_listener(address_)}, service, nullptr,
                                   [health] { return health; });
              test.tell('l');
              return server.run([] {}) ? 0 : 1;
          })) {
        REQUIRE(child_.hear() == 'l');
    }
    std::uint16_t port() const { return address_.port(); }
    ChildProcess& child() { return child_; }
    std::string worker() const { return std::to_string(child_.pid()); }

private:
    tools::ListenAddress address_;
    tools::PortReservation reservation_;
    ChildProcess child_;
};

inline std::string path(std::int64_t id) { return "/api/assignments/" + std::to_string(id) + "/analytics/"; }

inline std::string request(const std::string& target, const std::string& more = {}, const std::string& method = "GET") {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

}  // namespace larder::test
