// All places of a listener but one are taken by clients that mean no good.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "shm/socket/listener.hpp"
#include "shm/socket/protocol.hpp"
#include "tests/environment/stage.hpp"
#include "tests/socket/running_listener.hpp"
#include "tests/support/process_usage.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr std::size_t kPlaces = 64, kKindsOfClients = 5;
constexpr std::uint64_t kShareBytes = 64 * 1024;  // of memory for a client

/// Remembers nothing, so that what grows is the listener's.
class CountingSink final : public shm::NoticeSink {
public:
    std::uint64_t invalidate(std::span<const std::string_view>) override { return ++number_; }
    std::uint64_t invalidate_tag(std::string_view) override { return ++number_; }
    std::uint64_t invalidate_namespace(std::string_view) override { return ++number_; }
    std::uint64_t invalidate_all() override { return ++number_; }
    std::string stat_json() override { return '"' + std::string(4'000, 'x') + '"'; }
    bool still_current() override { return true; }

private:
    std::uint64_t number_ = 0;
};

/// A listener in a process of its own.
ChildProcess start_listener(const ScopedDirectory& directory) {
    return ChildProcess::start([&](Channel& test) {
        CountingSink sink;
        const shm::ListenerThread thread(options_in(directory.path()), sink);
        if (!eventually([&] { return thread.listening(); })) return 1;
        test.tell('l');
        return test.hear(std::chrono::seconds(120)) == 'e' ? 0 : 2;
    });
}

/// Each does its worst: a line that is never ended, answers never read, a line in single bytes, lines of a byte too
/// many, or nothing at all.
class Crowd {
public:
    explicit Crowd(const std::string& path) : path_(path) {
        for (std::size_t n = 0; n < kPlaces - 1; ++n) {
            clients_.emplace_back(path);
            REQUIRE(clients_.back().ask("ping") == "ok");
        }
    }
    void do_their_worst() {
        for (std::size_t n = 0; n < clients_.size(); ++n) {
            if (n % kKindsOfClients == 0) clients_[n].send("invalidate " + std::string(shm::kMaxLineBytes - 20, 'x'));
            if (n % kKindsOfClients == 1) ask_without_reading(clients_[n]);
            if (n % kKindsOfClients == 2) clients_[n].send("i");
            if (n % kKindsOfClients == 3) send_too_long(n);
        }
    }
    /// One byte more of each slow line; more questions of those who do not read; one more line that is too long.
    void go_on(std::size_t turn) {
        static const std::string kLine = "nvalidate slow ";
        for (std::size_t n = 0; n < clients_.size(); ++n) {
            if (n % kKindsOfClients == 1) ask_without_reading(clients_[n]);
            if (n % kKindsOfClients == 2) clients_[n].send({&kLine[turn % kLine.size()], 1});
        }
        send_too_long(3 + kKindsOfClients * (turn % (clients_.size() / kKindsOfClients)));
        SocketClient late(path_);  // one too many
        late.read_line();
    }

private:
    /// It is told so, has to go, and comes again.
    void send_too_long(std::size_t n) {
        static const std::string kLine(shm::kMaxLineBytes + 1, 'x');
        REQUIRE(clients_[n].ask(kLine).rfind("error a line has at most ", 0) == 0);
        REQUIRE(clients_[n].read_line() == "<end>");
        clients_[n].close();
        REQUIRE(eventually([&] {
            clients_[n] = SocketClient(path_);
            return clients_[n].ask("ping") == "ok";
        }));
    }
    static void ask_without_reading(SocketClient& client) {
        std::string questions;
        for (int i = 0; i < 400; ++i) questions += "stat\n";
        client.send_without_waiting(questions);
    }
    std::string path_;
    std::vector<SocketClient> clients_;
};

}  // namespace

// [no_asan]: what the sanitizer keeps of freed memory is not the listener's.
TEST_CASE("63 hostile clients keep no answer from the 64th, and take their share of memory at most",
          "[environment][R12][socket][fork][no_asan]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    ChildProcess listener = start_listener(directory);
    REQUIRE(listener.hear() == 'l');
    const std::string path = options_in(directory.path()).socket_path;
    SocketClient good(path);
    Crowd crowd(path);
    for (int n = 0; n < 100; ++n) REQUIRE(good.ask("stat").rfind("ok ", 0) == 0);
    const std::uint64_t before = private_bytes_of(listener.pid());
    crowd.do_their_worst();
    int notices = 0;
    for (std::size_t turn = 0; turn < 200; ++turn) {
        REQUIRE(good.ask("invalidate key") == "ok 1 notice=" + std::to_string(++notices));
        crowd.go_on(turn);
    }
    const std::uint64_t after = private_bytes_of(listener.pid());
    WARN((after - std::min(before, after)) / kPlaces / 1024 << " KiB more for each client");
    CHECK(after < before + kPlaces * kShareBytes);
    REQUIRE(good.ask("ping") == "ok");
    listener.tell('e');
    CHECK(listener.wait().exited_with(0));
}
