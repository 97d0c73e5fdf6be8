// Clients that begin requests and never end them, many at once, while others are to be served.
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/process_usage.hpp"
#include "tests/support/watchdog.hpp"
#include "tests/tools/running_server.hpp"

using namespace larder::test;
using namespace std::chrono_literals;
using larder::tools::ServerOptions;

namespace {

constexpr std::uint64_t kConnectionBytes = (8 + 64 + 24) << 10;  // header, body, and what reads them

/// Requests that have begun and do not end: of header lines, of a body, of a chunk; what is sent of them next.
struct Unfinished {
    std::string begin, more;
};
const Unfinished kUnfinished[] = {
    {"G", "ET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + std::string(1'000, 'a')},
    {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "X: y\r\n"},
    {request(path(1), "Content-Length: 60000\r\n") + std::string(50'000, 'b'), "bbbb"},
    {request(path(1), "Transfer-Encoding: chunked\r\n") + "8000\r\n" + std::string(30'000, 'c'), "cccc"},
};

/// So many slow clients, a byte of each at a turn.
class SlowClients {
public:
    SlowClients(std::uint16_t port, std::size_t count) {
        while (clients_.size() < count) add(port);
    }
    void add(std::uint16_t port) {
        clients_.push_back(std::make_unique<HttpClient>(port));
        REQUIRE(clients_.back()->connected());
        clients_.back()->send(request_of(clients_.size() - 1).begin);
    }
    /// How many of them the server has not ended yet.
    std::size_t go_on(std::size_t turn) {
        std::size_t alive = 0;
        for (std::size_t n = 0; n < clients_.size(); ++n) {
            const std::string& more = request_of(n).more;
            alive += clients_[n]->send(std::string(1, more[turn % more.size()])) ? 1 : 0;
        }
        return alive;
    }

private:
    static const Unfinished& request_of(std::size_t n) { return kUnfinished[n % std::size(kUnfinished)]; }
    std::vector<std::unique_ptr<HttpClient>> clients_;
};

}  // namespace

// [no_asan]: what the sanitizer keeps of freed memory is not the server's.
TEST_CASE("Two hundred requests that never end delay nobody, and take a bounded share of memory",
          "[http][environment][no_asan]") {
    const Watchdog watchdog;
    constexpr std::size_t kClients = 200;
    ServerOptions options;
    options.limits.request_time = 120s;
    RunningServer server(options);
    HttpClient good(server.port());
    for (int id = 1; id <= 50; ++id) REQUIRE(good.get(path(id)).body == std::to_string(id));
    const std::uint64_t before = private_bytes_of(server.child().pid());
    SlowClients slow(server.port(), kClients);
    for (std::size_t turn = 0; turn < 100; ++turn) {
        REQUIRE(slow.go_on(turn) == kClients);
        REQUIRE(good.get(path(7)).body == "7");
        if (turn % 10 == 0) REQUIRE(http_get(server.port(), "/healthz").status == 200);
    }
    const std::uint64_t after = private_bytes_of(server.child().pid());
    INFO("from " << before << " to " << after << " bytes");
    CHECK(after < before + kClients * kConnectionBytes);
}

TEST_CASE("Requests that never end have their time, whatever is sent of them, and then their places are free",
          "[http][environment]") {
    const Watchdog watchdog;
    ServerOptions options;
    options.max_connections = 40;
    options.limits.request_time = 4s;
    options.limits.linger_time = 100ms;
    RunningServer server(options);
    SlowClients slow(server.port(), options.max_connections);
    std::size_t turn = 0;
    CHECK(eventually([&] {  // some may be taken for unused, before they were read from, and make room once
        slow.add(server.port());
        slow.go_on(turn++);
        return http_get(server.port(), path(1)).status == 503;
    }));
    CHECK(eventually([&] {
        slow.go_on(turn++);
        return http_get(server.port(), path(1)).body == "1";
    }));
    CHECK(eventually([&] { return slow.go_on(turn++) == 0; }));
    CHECK(http_get(server.port(), path(2)).body == "2");
}
