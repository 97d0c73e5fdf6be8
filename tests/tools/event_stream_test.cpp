// Answers that go on.
#include <csignal>

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/tools/running_server.hpp"

using namespace larder;
using namespace larder::test;
using namespace larder::tools;
using namespace std::chrono_literals;

namespace {
const std::string events = "/api/cache/events/";
}

TEST_CASE("a stream sends one event after the other, and ends with its connection", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(events)));
    const HttpAnswer head = client.receive();
    CHECK(head.status == 200);
    CHECK(head.header("Content-Type") == "text/event-stream");
    CHECK(head.header("Connection") == "close");
    CHECK(head.header("Content-Length").empty());
    CHECK(head.header("Transfer-Encoding").empty());
    CHECK(head.header("X-Worker") == server.worker());
    for (int n = 1; n <= 3; ++n) CHECK(client.receives("x" + std::to_string(n) + "\n\n"));
}

TEST_CASE("HEAD of a stream is its head alone, and the connection goes on", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(events, {}, "HEAD")));
    const HttpAnswer head = client.receive(true);
    CHECK(head.status == 200);
    CHECK(head.header("Content-Type") == "text/event-stream");
    CHECK(client.get(path(7)).body == "7");
}

TEST_CASE("a stream of HTTP/1.0 goes on as any other", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send("GET " + events + " HTTP/1.0\r\n\r\n"));
    CHECK(client.receive().status == 200);
    CHECK(client.receives("x2\n\n"));
}

TEST_CASE("a stream holds up nobody, and what is sent ahead behind it is not answered", "[http]") {
    const RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(events) + request(path(7))));
    CHECK(client.receives("x1\n\n"));
    CHECK(http_get(server.port(), path(8)).body == "8");
    CHECK(client.receives("x2\n\n"));
}

TEST_CASE("a client that does not read its stream is dropped", "[http]") {
    ServerOptions options;
    options.limits.write_time = 300ms;
    const RunningServer server(options);
    HttpClient client(server.port());
    REQUIRE(client.send(request(events)));
    CHECK(client.receives("x1\n\n"));
    CHECK(eventually([&] { return !client.send("x"); }));
    CHECK(http_get(server.port(), path(8)).body == "8");
}

TEST_CASE("SIGTERM ends a stream between two events", "[http]") {
    RunningServer server;
    HttpClient client(server.port());
    REQUIRE(client.send(request(events)));
    CHECK(client.receives("x1\n\n"));
    server.child().kill(SIGTERM);
    while (client.receives("\n\n")) {}
    CHECK(client.is_ended());
    CHECK(server.child().wait().exited_with(0));
}
