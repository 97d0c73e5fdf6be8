#include "shm/socket/listener.hpp"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "shm/socket/protocol.hpp"
#include "tests/socket/running_listener.hpp"

using namespace larder;
using namespace larder::test;
using Lines = std::vector<std::string>;

TEST_CASE("Each line has its answer, in order, and ok is said after the sink was told", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    REQUIRE(
        client.send("invalidate k1 k%202\ninvalidate-tag author:7\r\nnonsense\ninvalidate-namespace stats\n"
                    "invalidate-all\nping\nstat\n"));
    CHECK(client.read_line() == "ok 2 notice=1");
    CHECK(client.read_line() == "ok notice=2");
    CHECK(client.read_line().find("error unknown verb `nonsense`") == 0);
    CHECK(client.read_line() == "ok notice=3");
    CHECK(client.read_line() == "ok notice=4");
    CHECK(client.read_line() == "ok");
    CHECK(client.read_line() == "ok {  \"entries\": 0 }");
    CHECK(running.sink.calls() == Lines{"invalidate k1 k 2", "tag author:7", "namespace stats", "all", "stat"});
}

TEST_CASE("Who announced what is told of each notice, and of nothing else", "[socket]") {
    RunningListener running;
    Lines told;
    running.options.on_notice = [&told](const SocketNotice& notice) {
        told.push_back(std::to_string(notice.number) + " " + std::string(notice.request));
        if (notice.uid != ::geteuid() || notice.pid != ::getpid()) told.push_back("of somebody else");
        throw std::runtime_error("whoever is told fails");
    };
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    REQUIRE(client.send("invalidate k1 k%202\nnonsense\nping\nstat\ninvalidate-all\n"));
    CHECK(client.read_line() == "ok 2 notice=1");
    for (int i = 0; i < 3; ++i) client.read_line();
    CHECK(client.read_line() == "ok notice=3");  // `stat` counts as a call of the sink
    CHECK(told == Lines{"1 invalidate k1 k%202", "3 invalidate-all"});
}

TEST_CASE("A client that ends its requests gets all answers, the last line's without LF too, and then the end",
          "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    std::string requests;
    for (int i = 0; i < 1000; ++i) requests += "invalidate k\n";
    REQUIRE(client.send(requests + "invalidate-all"));
    client.end_of_requests();
    for (int i = 1; i <= 1000; ++i) REQUIRE(client.read_line() == "ok 1 notice=" + std::to_string(i));
    CHECK(client.read_line() == "ok notice=1001");
    CHECK(client.read_line() == "<end>");
}

TEST_CASE("A line of 64 KiB is served, one byte more ends the connection with one error", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    std::string longest = "invalidate";
    while (longest.size() + 1 < shm::kMaxLineBytes) longest += " k";
    longest.resize(shm::kMaxLineBytes, ' ');
    SocketClient client = running.client();
    CHECK(client.ask(longest + "\r") == "ok " + std::to_string((longest.size() - 10) / 2) + " notice=1");
    CHECK(client.ask(longest + " ") ==
          "error a line has at most 65536 bytes; send several, or name a tag or a namespace");
    CHECK(client.read_line() == "<end>");
    CHECK(running.sink.calls().size() == 1);
}

TEST_CASE("A line that never ends is refused while it is being sent, and nobody waits for it", "[R12][socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient endless = running.client();
    SocketClient good = running.client();
    REQUIRE(endless.send(std::string(512 << 10, 'x')));  // far more than the listener keeps: it reads on and discards
    CHECK(endless.read_line().find("error a line has at most") == 0);
    CHECK(endless.read_line() == "<end>");
    CHECK(good.ask("ping") == "ok");
}

TEST_CASE("A client that sends single bytes is served when its line is complete, and nobody waits for it",
          "[R12][socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient slow = running.client();
    SocketClient good = running.client();
    int notices = 0;
    for (const char byte : std::string("invalidate slow")) {
        REQUIRE(slow.send({&byte, 1}));
        REQUIRE(good.ask("invalidate good") == "ok 1 notice=" + std::to_string(++notices));
    }
    CHECK(slow.ask("") == "ok 1 notice=" + std::to_string(++notices));
}

TEST_CASE("The 65th client gets one error and is closed, until a place is free", "[R12][socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    std::vector<SocketClient> clients;
    for (int i = 0; i < 64; ++i) {
        clients.push_back(running.client());
        REQUIRE(clients.back().ask("ping") == "ok");
    }
    for (int i = 0; i < 40; ++i) {
        SocketClient rejected = running.client();
        const std::string answer = rejected.read_line();
        REQUIRE(answer == "error too many clients: there are 64 already; close one, or try again");
        REQUIRE(rejected.read_line() == "<end>");
    }
    CHECK(clients.front().ask("ping") == "ok");
    clients.pop_back();
    CHECK(eventually([&] { return running.client().ask("ping") == "ok"; }));
}

TEST_CASE("Clients that hang on after an error take no more than their share of places", "[R12][socket][tsan]") {
    RunningListener running;
    running.options.max_clients = 1;
    REQUIRE(running.start_and_wait());
    SocketClient only = running.client();
    REQUIRE(only.ask("ping") == "ok");
    std::vector<SocketClient> rejected;
    for (int i = 0; i < 16; ++i) {
        rejected.push_back(running.client());
        REQUIRE(rejected.back().read_line().find("error too many clients") == 0);
    }
    CHECK(running.client().read_line() == "<end>");
    CHECK(only.ask("ping") == "ok");
}

TEST_CASE("With all places taken, a client that was idle for longer than the limit makes room", "[R12][socket][tsan]") {
    RunningListener running;
    running.options.max_clients = 2;
    running.options.idle_limit = std::chrono::milliseconds(0);
    REQUIRE(running.start_and_wait());
    SocketClient first = running.client();
    REQUIRE(first.ask("ping") == "ok");
    SocketClient second = running.client();
    REQUIRE(second.ask("ping") == "ok");
    SocketClient third = running.client();
    CHECK(third.ask("ping") == "ok");
    CHECK(first.read_line() == "<end>");
    CHECK(second.ask("ping") == "ok");
}

TEST_CASE("A client that does not read its answers is read no further, delays nobody and is dropped",
          "[R12][socket][tsan]") {
    RunningListener running;
    running.sink.document = '"' + std::string(100'000, 'x') + '"';
    running.options.answer_deadline = std::chrono::milliseconds(200);
    REQUIRE(running.start_and_wait());
    SocketClient bad = running.client();
    SocketClient good = running.client();
    std::string requests;
    for (int i = 0; i < 20'000; ++i) requests += "stat\n";
    bad.send_without_waiting(requests);
    for (int i = 0; i < 100; ++i) REQUIRE(good.ask("ping") == "ok");
    REQUIRE(eventually([&] { return bad.send_without_waiting("stat\n") == 0 && errno == EPIPE; }));
    CHECK(running.sink.calls().size() < 100);  // of the 20,000: what the socket's buffers and one turn hold
    CHECK(good.ask("ping") == "ok");
}

TEST_CASE("A client that stops in the middle of a line and goes away leaves nothing applied", "[R12][socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    {
        SocketClient client = running.client();
        REQUIRE(client.ask("invalidate a") == "ok 1 notice=1");
    }
    SocketClient good = running.client();
    CHECK(good.ask("invalidate b") == "ok 1 notice=2");
    CHECK(running.sink.calls() == Lines{"invalidate a", "invalidate b"});
}

TEST_CASE("A request is applied again when the segment was replaced meanwhile, and ok is not said otherwise",
          "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    running.sink.replacements = 1;
    CHECK(client.ask("invalidate k") == "ok 1 notice=2");
    CHECK(running.sink.calls() == Lines{"invalidate k", "invalidate k"});
    running.sink.replacements = 1000;
    CHECK(client.ask("invalidate-all") == "error not applied, the cache is being replaced; send the line again");
    CHECK(client.ask("ping") == "error not applied, the cache is being replaced; send the line again");
}

TEST_CASE("What the sink throws is one error line, and the connection goes on", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    running.sink.fails = true;
    CHECK(client.ask("invalidate k") == "error not applied, send the line again: the cache is away");
    running.sink.fails = false;
    CHECK(client.ask("invalidate k") == "ok 1 notice=1");
}

TEST_CASE("The socket is its owner's alone, and gone when the listener has stopped", "[R13][socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    struct stat status {};
    REQUIRE(::stat(running.options.socket_path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    SocketClient client = running.client();
    REQUIRE(client.ask("ping") == "ok");
    running.thread.reset();
    CHECK(client.read_line() == "<end>");
    CHECK_FALSE(std::filesystem::exists(running.options.socket_path));
}

TEST_CASE("A socket that somebody else has put in its place is not removed at the end", "[socket][tsan]") {
    RunningListener running;
    running.options.tick_interval = std::chrono::hours(1);  // it does not notice
    REQUIRE(running.start_and_wait());
    std::filesystem::remove(running.options.socket_path);
    std::ofstream(running.options.socket_path) << "not ours";
    running.thread.reset();
    CHECK(std::filesystem::exists(running.options.socket_path));
}

TEST_CASE("A socket file left by a dead listener is replaced", "[socket][tsan]") {
    RunningListener running;
    const std::string path = running.options.socket_path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(dead);
    REQUIRE_FALSE(running.client().connected());
    REQUIRE(running.start_and_wait());
    CHECK(running.client().ask("ping") == "ok");
}

TEST_CASE("A file in the socket's place is left alone and named, and the listener starts once it is gone",
          "[socket][tsan]") {
    RunningListener running;
    std::ofstream(running.options.socket_path) << "somebody's";
    running.start();
    REQUIRE(eventually([&] { return running.log.has("is in the way"); }));
    CHECK_FALSE(running.thread->listening());
    CHECK(std::filesystem::file_size(running.options.socket_path) == 10);
    std::filesystem::remove(running.options.socket_path);
    CHECK(running.wait());
}

TEST_CASE("A removed socket is made again, and clients that are there stay", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient before = running.client();
    REQUIRE(before.ask("ping") == "ok");
    std::filesystem::remove(running.options.socket_path);
    REQUIRE(eventually([&] { return running.client().ask("ping") == "ok"; }));
    CHECK(before.ask("ping") == "ok");
}

TEST_CASE("A missing directory is named, and the listener starts once it is there", "[socket][tsan]") {
    RunningListener running;
    const std::string directory = running.directory.file("later");
    running.options.socket_path = directory + "/c.sock";
    running.options.lock_path = directory + "/c.listen";
    running.start();
    REQUIRE(eventually([&] { return running.log.has("make its directory"); }));
    std::filesystem::create_directory(directory);
    CHECK(running.wait());
}

TEST_CASE("The listener ticks while it has the role, and goes on when a tick fails", "[socket][tsan]") {
    RunningListener running;
    std::atomic<int> ticks{0};
    running.options.tick = [&ticks] {
        if (++ticks == 2) throw std::runtime_error("a failing tick");
    };
    REQUIRE(running.start_and_wait());
    CHECK(eventually([&] { return ticks > 3; }));
    CHECK(running.log.has("a failing tick"));
}

TEST_CASE("A hand and netcat are enough of a client", "[socket][fork]") {
    if (::access("/usr/bin/nc", X_OK) != 0) {
        WARN("skipped: there is no /usr/bin/nc");
        return;
    }
    RunningListener running;
    REQUIRE(running.start_and_wait());
    const std::string command =
        "printf 'invalidate assignment_stats:1\\n' | nc -N -U '" + running.options.socket_path + "'";
    FILE* const output = ::popen(command.c_str(), "r");
    REQUIRE(output != nullptr);
    char line[100] = "";
    CHECK(::fgets(line, sizeof line, output) == line);
    CHECK(::pclose(output) == 0);
    CHECK(std::string(line) == "ok 1 notice=1\n");
}
