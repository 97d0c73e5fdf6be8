// Clients that go, talk on or come all at once: the listener goes on, and their places are free again.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/socket/running_listener.hpp"
#include "tests/support/skipped.hpp"

using namespace larder::test;
namespace shm = larder::shm;

TEST_CASE("A client that goes away without reading its answers leaves its place to others", "[socket]") {
    RunningListener running;
    running.options.max_clients = 2;
    running.options.answer_deadline = std::chrono::hours(1);  // it is not this that drops it
    SECTION("while it is waited for") {
        REQUIRE(running.start_and_wait());
        SocketClient client = running.client();
        REQUIRE(client.send("stat\n"));
        REQUIRE(eventually([&] { return !running.sink.calls().empty(); }));
        REQUIRE(running.client().ask("ping") == "ok");  // the answer is there, unread: closing resets the connection
        client.close();
    }
    SECTION("while it is answered") {
        running.sink.document = '"' + std::string(1'000'000, 'x') + '"';
        REQUIRE(running.start_and_wait());
        SocketClient client = running.client();
        REQUIRE(client.send("stat\nstat\n"));
        CHECK(eventually([&] { return !running.sink.calls().empty(); }));
        client.close();
    }
    SocketClient one = running.client();
    CHECK(one.ask("ping") == "ok");
    CHECK(eventually([&] { return running.client().ask("ping") == "ok"; }));
    CHECK(one.ask("ping") == "ok");
}

TEST_CASE("A client that talks on after its error is read no further than a megabyte", "[socket]") {
    RunningListener running;
    running.options.hang_up_deadline = std::chrono::hours(1);  // it is not this that drops it
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    const std::string much(100'000, 'x');
    int sent = 0;
    while (sent < 100 && client.send(much)) ++sent;
    CHECK(sent >= 10);
    CHECK(sent < 100);
    CHECK(running.client().ask("ping") == "ok");
}

TEST_CASE("More clients than one turn takes, come at once, are all served", "[socket]") {
    RunningListener running;
    std::atomic<bool> held{false}, go{false};
    running.options.tick = [&] {
        held = true;
        CHECK(eventually([&] { return go.load(); }));
    };
    REQUIRE(running.start_and_wait());
    REQUIRE(eventually([&] { return held.load(); }));
    std::vector<SocketClient> clients;
    for (int i = 0; i < 40; ++i) clients.push_back(running.client());
    go = true;
    for (SocketClient& client : clients) CHECK(client.ask("ping") == "ok");
}

TEST_CASE("A listener without places refuses everybody", "[socket]") {
    RunningListener running;
    running.options.max_clients = 0;
    REQUIRE(running.start_and_wait());
    CHECK(running.client().read_line() == "error too many clients: there are 0 already; close one, or try again");
}

TEST_CASE("A listener whose socket cannot be made again steps down, and comes back when it can", "[socket]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    REQUIRE(client.ask("ping") == "ok");
    const std::string other = running.directory.file("other");
    std::ofstream(other) << "somebody's";
    std::filesystem::rename(other, running.options.socket_path);
    REQUIRE(eventually([&] { return running.log.has("is in the way"); }));
    CHECK(client.read_line() == "<end>");
    CHECK(eventually([&] { return !running.thread->listening(); }));
    CHECK(std::filesystem::file_size(running.options.socket_path) == 10);
    std::filesystem::remove(running.options.socket_path);
    CHECK(running.wait());
    CHECK(running.client().ask("ping") == "ok");
}

TEST_CASE("A listener that is told to stop before it runs makes nothing", "[socket]") {
    const ScopedDirectory directory;
    RecordingSink sink;
    std::stop_source stop;
    stop.request_stop();
    shm::Listener(options_in(directory.path()), sink).run(stop.get_token());
    CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("The superuser is served by any user's listener", "[R13][socket][fork]") {
    if (::geteuid() != 0) {
        WARN(kNeedsRoot);
        return;
    }
    const ScopedDirectory directory;
    REQUIRE(::chown(directory.path().c_str(), 65534, 65534) == 0);
    ChildProcess owner = ChildProcess::start([&](Channel& test) {
        if (::setuid(65534) != 0) return 1;
        RecordingSink sink;
        const shm::ListenerThread listener(options_in(directory.path()), sink);
        if (!eventually([&] { return listener.listening(); })) return 2;
        test.tell('l');
        test.hear();
        return sink.calls() == std::vector<std::string>{"all"} ? 0 : 3;
    });
    REQUIRE(owner.hear() == 'l');
    CHECK(SocketClient(directory.file("c.sock")).ask("invalidate-all") == "ok notice=1");
    owner.tell('e');
    CHECK(owner.wait().exited_with(0));
}
