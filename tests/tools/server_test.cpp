#include "tools/http/server.hpp"

#include <unistd.h>

#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/tools/running_server.hpp"

using namespace larder;
using namespace larder::test;
using namespace larder::tools;
using namespace std::chrono_literals;

namespace {

bool has_code(const HttpAnswer& answer, const std::string& code) {
    return answer.body.find(R"({"error":{"code":")" + code + R"(","message":")") == 0;
}

// The answer to bytes on a connection of their own, and whether the server then ended it.
HttpAnswer talk(const RunningServer& server, const std::string& bytes, bool* ended = nullptr) {
    HttpClient client(server.port());
    client.send(bytes);
    HttpAnswer answer = client.receive();
    if (ended != nullptr) *ended = client.is_ended();
    return answer;
}

}  // namespace

TEST_CASE("one connection carries many requests, also when they are sent ahead", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    for (int id = 1; id <= 20; ++id) CHECK(client.get(path(id)).body == std::to_string(id));
    std::string ahead;
    for (int id = 100; id < 300; ++id) ahead += request(path(id));
    REQUIRE(client.send(ahead));
    for (int id = 100; id < 300; ++id) REQUIRE(client.receive().body == std::to_string(id));
}

TEST_CASE("requests are understood in whatever pieces they arrive", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    for (const char byte : request(path(7)) + request(path(8))) REQUIRE(client.send(std::string(1, byte)));
    CHECK(client.receive().body == "7");
    CHECK(client.receive().body == "8");
}

TEST_CASE("every answer names its worker, its length and its type", "[http]") {
    RunningServer server;
    const HttpAnswer page = http_get(server.port(), path(5));
    CHECK(page.status == 200);
    CHECK(page.header("X-Worker") == server.worker());
    CHECK(page.header("Content-Length") == "1");
    CHECK(page.header("Content-Type") == "application/json; charset=utf-8");
    CHECK(page.header("Date").size() == 29);
    CHECK(http_get(server.port(), "/nowhere").header("X-Worker") == server.worker());
    CHECK(talk(server, "nonsense\r\n\r\n").header("X-Worker") == server.worker());
    CHECK(http_get(server.port(), "/api/assignments/1/analytics").header("X-Worker") == server.worker());
    CHECK(http_get(server.port(), "/healthz").header("X-Worker") == server.worker());
}

TEST_CASE("HEAD is answered as GET, without the body", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(path(123), {}, "HEAD") + request(path(45))));
    const HttpAnswer head = client.receive(true);
    CHECK(head.status == 200);
    CHECK(head.header("Content-Length") == "3");
    CHECK(client.receive().body == "45");
}

TEST_CASE("a large body arrives whole, also at a client that reads late", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(path(999))));
    CHECK(http_get(server.port(), path(1)).body == "1");
    CHECK(client.receive().body == std::string(large_size, 'x'));
}

TEST_CASE("HTTP/1.0 and Connection: close end the connection after the answer", "[http]") {
    const RunningServer server;
    bool ended = false;
    CHECK(talk(server, "GET " + path(3) + " HTTP/1.0\r\n\r\n", &ended).body == "3");
    CHECK(ended);
    ended = false;
    CHECK(talk(server, request(path(4), "Connection: close\r\n"), &ended).body == "4");
    CHECK(ended);
}

TEST_CASE("what is no HTTP request is 400 and ends the connection", "[http]") {
    const RunningServer server;
    for (const std::string& bytes :
         {std::string("nonsense\r\n\r\n"), std::string("GET / HTTP/2.0\r\n\r\n"),
          std::string("\x16\x03\x01\x02 \r\n\r\n"), "GET " + path(1) + " HTTP/1.1\r\n\r\n",
          request(path(1), "Host: twice\r\n"), request(path(1), "no colon\r\n"),
          request(path(1), "Content-Length: -1\r\n"), request(path(1), "Content-Length: 1\r\nContent-Length: 2\r\n"),
          request(path(1), "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
          request(path(1), "Transfer-Encoding: chunked\r\n") + "zz\r\n"}) {
        bool ended = false;
        const HttpAnswer answer = talk(server, bytes, &ended);
        CAPTURE(bytes);
        CHECK(answer.status == 400);
        CHECK(has_code(answer, "bad_request"));
        CHECK(ended);
    }
}

TEST_CASE("a header above 8 KiB is 431, one below is read", "[http]") {
    const RunningServer server;
    CHECK(talk(server, request(path(1), "X: " + std::string(7'000, 'x') + "\r\n")).status == 200);
    for (const std::size_t size : {8'300, 20'000, 200'000}) {
        bool ended = false;
        const HttpAnswer answer = talk(server, request(path(1), "X: " + std::string(size, 'x') + "\r\n"), &ended);
        CHECK(answer.status == 431);
        CHECK(has_code(answer, "header_too_large"));
        CHECK(ended);
    }
    CHECK(talk(server, "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n").status == 431);
    std::string many;
    while (many.size() < 8'300) many += "a:b\r\n";
    CHECK(talk(server, request(path(1), many)).status == 431);
}

TEST_CASE("whose assignment it is comes before how long a body is", "[http]") {
    const RunningServer server;
    CHECK(talk(server, request(path(foreign_id), "Content-Length: 70000\r\n")).status == 403);
    CHECK(talk(server, request(path(1), "Content-Length: 70000\r\n")).status == 413);
    CHECK(talk(server, request(path(1), "Content-Length: 5\r\n") + "hello").body == "1");
}

TEST_CASE("a coding of the body that is not understood is 400, and ends the connection", "[http]") {
    const RunningServer server;
    for (const char* coding : {"xchunked", "gzip", "identity", "chunked, gzip"}) {
        INFO(coding);
        bool ended = false;
        const std::string field = std::string("Transfer-Encoding: ") + coding + "\r\n";
        const HttpAnswer answer = talk(server, request(path(1), field) + request(path(2)), &ended);
        CHECK(answer.status == 400);
        CHECK(ended);
    }
}

TEST_CASE("a body above 64 KiB is 413, one below is read and left alone", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    const std::string body(64 * 1024, 'b');
    REQUIRE(client.send(request(path(1), "Content-Length: 65536\r\n") + body + request(path(2))));
    CHECK(client.receive().body == "1");
    CHECK(client.receive().body == "2");
    REQUIRE(client.send(request(path(3), "Transfer-Encoding: chunked\r\n") + "8000\r\n" + std::string(0x8000, 'c') +
                        "\r\n0\r\n\r\n"));
    CHECK(client.receive().body == "3");

    const HttpAnswer announced = talk(server, request(path(1), "Content-Length: 65537\r\n"));
    CHECK(announced.status == 413);
    CHECK(has_code(announced, "too_large"));
    std::string chunks;
    for (int i = 0; i < 40; ++i) chunks += "800\r\n" + std::string(0x800, 'c') + "\r\n";
    CHECK(talk(server, request(path(1), "Transfer-Encoding: chunked\r\n") + chunks + "0\r\n\r\n").status == 413);
}

TEST_CASE("the body is checked last", "[http]") {
    const RunningServer server;
    CHECK(talk(server, request("/nowhere", "Content-Length: 99999999\r\n")).status == 404);
    CHECK(talk(server, request(path(1), "Content-Length: 99999999\r\n", "POST")).status == 405);
    CHECK(talk(server, request("/api/assignments/x/analytics/", "Content-Length: 99999999\r\n")).status == 404);
}

TEST_CASE("who waits to be asked for the body is answered at once", "[http]") {
    const RunningServer server;
    CHECK(talk(server, request(path(6), "Content-Length: 5\r\nExpect: 100-continue\r\n")).body == "6");
    CHECK(talk(server, request(path(6), "Content-Length: 65537\r\nExpect: 100-continue\r\n")).status == 413);
}

TEST_CASE("a request that does not arrive in time is 408", "[http]") {
    ServerOptions options;
    options.limits.request_time = 200ms;
    const RunningServer server(options);
    for (const std::string& begin :
         {std::string(), std::string("GET /"), request(path(1), "Content-Length: 5\r\n") + "ab"}) {
        bool ended = false;
        const HttpAnswer answer = talk(server, begin, &ended);
        CHECK(answer.status == 408);
        CHECK(has_code(answer, "timeout"));
        CHECK(ended);
    }
}

TEST_CASE("a client that sends a byte now and then gains no time", "[http]") {
    ServerOptions options;
    options.limits.request_time = 300ms;
    const RunningServer server(options);
    HttpClient client(server.port());
    REQUIRE(client.send("G"));
    CHECK(eventually([&] { return !client.send("E"); }));
}

TEST_CASE("a connection that nobody uses is closed without a word", "[http]") {
    ServerOptions options;
    options.limits.idle_time = 200ms;
    const RunningServer server(options);
    HttpClient client(server.port());
    CHECK(client.get(path(1)).body == "1");
    CHECK(client.is_ended());
}

TEST_CASE("a client that does not read its answer is dropped, and holds up nobody", "[http]") {
    ServerOptions options;
    options.limits.write_time = 300ms;
    const RunningServer server(options);
    HttpClient client(server.port());
    for (int i = 0; i < 20; ++i) client.send(request(path(999)));
    CHECK(http_get(server.port(), path(1)).body == "1");
    CHECK(eventually([&] { return !client.send("x"); }));
}

TEST_CASE("hits and healthz do not wait for what is computed", "[http]") {
    ServerOptions options;
    options.compute_threads = 1;
    options.max_queued_computations = 1;
    RunningServer server(options);
    HttpClient first(server.port()), second(server.port()), third(server.port());
    REQUIRE(first.send(request(path(slow_id))));
    REQUIRE(server.child().hear() == 's');
    REQUIRE(second.send(request(path(slow_id + 1))));
    CHECK(http_get(server.port(), path(1)).body == "1");
    CHECK(http_get(server.port(), "/healthz").body == R"({"status":"ok"})");
    REQUIRE(third.send(request(path(slow_id + 2))));
    const HttpAnswer refused = third.receive();
    CHECK(refused.status == 503);
    CHECK(has_code(refused, "unavailable"));
    server.child().tell('g');
    CHECK(first.receive().body == std::to_string(slow_id));
    REQUIRE(server.child().hear() == 's');
    server.child().tell('g');
    CHECK(second.receive().body == std::to_string(slow_id + 1));
}

TEST_CASE("an answer that takes too long is 503, and its late end disturbs nobody", "[http]") {
    ServerOptions options;
    options.limits.answer_time = 200ms;
    RunningServer server(options);
    HttpClient client(server.port());
    REQUIRE(client.send(request(path(slow_id))));
    CHECK(client.receive().status == 503);
    REQUIRE(server.child().hear() == 's');
    server.child().tell('g');
    CHECK(http_get(server.port(), path(2)).body == "2");
}

TEST_CASE("healthz is 503 until the service is ready", "[http]") {
    const RunningServer starting({}, Health::starting);
    const HttpAnswer answer = http_get(starting.port(), "/healthz");
    CHECK(answer.status == 503);
    CHECK(has_code(answer, "unavailable"));
    const RunningServer draining({}, Health::draining);
    CHECK(http_get(draining.port(), "/healthz").status == 503);
}

TEST_CASE("healthz is 200 and says so while the service is degraded", "[http]") {
    const RunningServer degraded({}, Health::degraded);
    const HttpAnswer answer = http_get(degraded.port(), "/healthz");
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"status":"degraded"})");
}

TEST_CASE("at the limit of connections an idle one makes room, and else 503 is the answer", "[http]") {
    ServerOptions options;
    options.max_connections = 3;
    RunningServer server(options);
    HttpClient idle(server.port());
    CHECK(idle.get(path(1)).status == 200);
    std::vector<std::unique_ptr<HttpClient>> busy;
    for (int i = 0; i < 3; ++i) {
        busy.push_back(std::make_unique<HttpClient>(server.port()));
        REQUIRE(busy.back()->send(request(path(slow_id + i))));
        REQUIRE(server.child().hear() == 's');
    }
    CHECK(idle.is_ended());
    HttpClient refused(server.port());
    CHECK(refused.receive().status == 503);
    for (int i = 0; i < 3; ++i) server.child().tell('g');
    for (const auto& client : busy) CHECK(client->receive().status == 200);
}

TEST_CASE("SIGTERM lets a request that has begun finish, ends idle connections and takes no new ones", "[http]") {
    RunningServer server;
    HttpClient idle(server.port()), busy(server.port()), begun(server.port());
    CHECK(idle.get(path(1)).status == 200);
    REQUIRE(begun.send("GET " + path(9) + " HTTP/1.1\r\n"));
    REQUIRE(busy.send(request(path(slow_id))));
    REQUIRE(server.child().hear() == 's');
    server.child().kill(SIGTERM);
    CHECK(idle.is_ended());
    CHECK_FALSE(HttpClient(server.port()).connected());
    REQUIRE(begun.send("Host: localhost\r\n\r\n"));
    const HttpAnswer last = begun.receive();
    CHECK(last.body == "9");
    CHECK(last.header("Connection") == "close");
    server.child().tell('g');
    CHECK(busy.receive().body == std::to_string(slow_id));
    CHECK(server.child().wait().exited_with(0));
}

TEST_CASE("draining ends although a request does not", "[http]") {
    ServerOptions options;
    options.drain_time = 300ms;
    RunningServer server(options);
    HttpClient busy(server.port());
    REQUIRE(busy.send(request(path(slow_id))));
    REQUIRE(server.child().hear() == 's');
    server.child().kill(SIGTERM);
    CHECK(server.child().wait().exited_with(1));
}

TEST_CASE("a port that is listened on, or kept for workers, cannot be taken a second time", "[http]") {
    const RunningServer server;
    ListenAddress taken = ListenAddress::parse("127.0.0.1:" + std::to_string(server.port()));
    CHECK_THROWS_AS(PortReservation(taken), AddressError);
    ListenAddress kept = ListenAddress::parse("127.0.0.1:0");
    const PortReservation reservation(kept);
    CHECK(kept.port() != 0);
    CHECK_THROWS_AS(PortReservation(kept), AddressError);
}

TEST_CASE("of two who want the same free port at once, one gets it", "[http]") {
    ListenAddress address = ListenAddress::parse("127.0.0.1:0");
    static_cast<void>(PortReservation(address));
    for (int round = 0; round < 100; ++round) {
        std::atomic<int> got{0};
        std::barrier both(2), tried(2);
        const auto want = [&] {
            ListenAddress mine = address;
            std::optional<PortReservation> reservation;
            both.arrive_and_wait();
            try {
                reservation.emplace(mine);
                ++got;
            } catch (const AddressError&) {}
            tried.arrive_and_wait();
        };
        std::thread other(want);
        want();
        other.join();
        REQUIRE(got == 1);
    }
}

TEST_CASE("addresses are read as people write them", "[http]") {
    CHECK(ListenAddress::parse("127.0.0.1:8080").url() == "http://127.0.0.1:8080");
    CHECK(ListenAddress::parse("localhost:0").url() == "http://127.0.0.1:0");
    CHECK(ListenAddress::parse("[::1]:81").url() == "http://[::1]:81");
    CHECK(ListenAddress::parse("127.9.9.9:1").is_loopback());
    CHECK(ListenAddress::parse("[::1]:1").is_loopback());
    CHECK_FALSE(ListenAddress::parse("0.0.0.0:1").is_loopback());
    CHECK_FALSE(ListenAddress::parse("[::]:1").is_loopback());
    for (const char* text :
         {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80"})
        CHECK_THROWS_AS(ListenAddress::parse(text), AddressError);
}
