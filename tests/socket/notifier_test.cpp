#include "shm/socket/notifier.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "tests/socket/running_listener.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

// Long enough for a machine that is busy with other tests; what should fail at a deadline has a short one of its own.
Notifier patient(const std::string& path) { return Notifier(path, kWatchdog); }

// Accepts one connection and does with it what the test says.
template <class Talk>
std::jthread one_time_server(const std::string& path, Talk talk) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listening, 5) == 0);
    return std::jthread([listening, talk] {
        const int client = ::accept(listening, nullptr, nullptr);
        talk(client);
        ::close(client);
        ::close(listening);
    });
}

}  // namespace

TEST_CASE("A notifier's calls arrive as they are and return the notice's number", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    const Notifier notifier = patient(running.options.socket_path);
    CHECK(notifier.invalidate("a b%").notice == 1);
    CHECK(notifier.invalidate({"k1", "k2"}).notice == 2);
    CHECK(notifier.invalidate_tag("author:7").notice == 3);
    CHECK(notifier.invalidate_namespace("stats").notice == 4);
    CHECK(notifier.invalidate_all().notice == 5);
    const NoticeResult pinged = notifier.ping();
    CHECK(pinged.ok);
    CHECK(pinged.error == "");
    CHECK(running.sink.calls() ==
          Lines{"invalidate a b%", "invalidate k1 k2", "tag author:7", "namespace stats", "all"});
}

TEST_CASE("More keys than one line holds go in several, and all are told", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    std::vector<std::string> keys;
    for (int i = 0; i < 500; ++i) keys.push_back(std::to_string(i) + std::string(1000, ' '));
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const NoticeResult told = patient(running.options.socket_path).invalidate(views);
    REQUIRE(told.ok);
    std::string expected;
    std::string got;
    for (const std::string& key : keys) expected += ' ' + key;
    for (const std::string& call : running.sink.calls()) got += call.substr(std::string("invalidate").size());
    CHECK(got == expected);
    CHECK(told.notice == running.sink.calls().size());
    CHECK(told.notice > 1);
}

TEST_CASE("What cannot be sent is refused without asking anybody", "[socket][tsan]") {
    const Notifier notifier = patient("/nobody/listens/here.sock");
    CHECK(notifier.invalidate("").error == "a key has 1 to 1024 bytes, not 0");
    CHECK(notifier.invalidate({"k", std::string(1025, 'k')}).error == "a key has 1 to 1024 bytes, not 1025");
    CHECK(notifier.invalidate(std::span<const std::string_view>()).error.find("at least one key") != std::string::npos);
    CHECK(notifier.invalidate_tag(std::string(257, 't')).error == "a tag has 1 to 256 bytes, not 257");
    CHECK(notifier.invalidate_namespace("a:b").error.find("before its first `:`") != std::string::npos);
}

TEST_CASE("Where nobody listens the error says what to start", "[socket][tsan]") {
    const ScopedDirectory directory;
    for (const std::string& path : {directory.file("c.sock"), directory.file("none/c.sock")}) {
        const NoticeResult told = Notifier(path, 20ms).invalidate("k");
        CHECK_FALSE(told);
        CHECK(told.error.find("nobody listens on " + path) == 0);
        CHECK(told.error.find("start `larder listen`") != std::string::npos);
        CHECK_FALSE(told.answered);
    }
}

TEST_CASE("A listener's refusal is the error", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    running.sink.fails = true;
    const NoticeResult told = patient(running.options.socket_path).invalidate("k");
    CHECK(told.error == "not applied, send the line again: the cache is away");
    CHECK(told.answered);
}

TEST_CASE("An answer that does not come in time is an error that says so", "[socket][fork]") {
    const ScopedDirectory directory;
    auto child = ChildProcess::start([&](Channel& parent) {
        RecordingSink sink;
        const shm::ListenerThread listener(options_in(directory.path()), sink);
        parent.tell(eventually([&] { return listener.listening(); }) ? 'y' : 'n');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'y');
    child.kill(SIGSTOP);
    REQUIRE(child.wait_for_stop());
    const NoticeResult told = Notifier(directory.file("c.sock"), 50ms).invalidate("k");
    CHECK_FALSE(told);
    CHECK(told.error.find("no answer from " + directory.file("c.sock") + " within 50 ms") == 0);
    child.kill(SIGCONT);
    CHECK(patient(directory.file("c.sock")).ping().ok);
}

TEST_CASE("A listener that dies before it has answered is asked again at its successor's", "[socket][tsan]") {
    RunningListener running;
    const auto dying = one_time_server(running.options.socket_path, [&](int client) {
        char byte = 0;
        while (::recv(client, &byte, 1, 0) == 1 && byte != '\n') {}
        running.start();  // takes the path over while the client still waits here
        running.wait();
    });
    CHECK(patient(running.options.socket_path).invalidate("k").notice == 1);
    CHECK(running.sink.calls() == Lines{"invalidate k"});
}

TEST_CASE("A notifier that comes too early is heard once somebody listens", "[socket][tsan]") {
    RunningListener running;
    NoticeResult told;
    {
        const std::jthread early([&] { told = patient(running.options.socket_path).invalidate("k"); });
        running.start();
    }
    CHECK(told.notice == 1);
}

TEST_CASE("With all places taken a notifier waits for one", "[socket][tsan]") {
    RunningListener running;
    running.options.max_clients = 1;
    REQUIRE(running.start_and_wait());
    SocketClient only = running.client();
    REQUIRE(only.ask("ping") == "ok");
    const NoticeResult refused = Notifier(running.options.socket_path, 30ms).ping();
    CHECK(refused.error.find("too many clients") == 0);
    CHECK_FALSE(refused.answered);
    NoticeResult told;
    {
        const std::jthread waiting([&] { told = patient(running.options.socket_path).ping(); });
        only.close();
    }
    CHECK(told.ok);
}

TEST_CASE("What does not answer as a listener does is an error, not a success", "[socket][tsan]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.sock");
    const auto stranger = one_time_server(path, [](int client) {
        const std::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
        static_cast<void>(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL));
    });
    const NoticeResult told = patient(path).ping();
    CHECK_FALSE(told);
    CHECK(told.error.find("does not answer as larder does") != std::string::npos);
}

TEST_CASE("A path too long for the kernel is reached all the same, with a warning for other tools", "[socket][tsan]") {
    RunningListener running;
    const std::string deep = running.directory.file(std::string(100, 'd')) + '/' + std::string(100, 'e');
    std::filesystem::create_directories(deep);
    running.options.socket_path = deep + "/c.sock";
    running.options.lock_path = deep + "/c.listen";
    REQUIRE(running.start_and_wait());
    CHECK(patient(running.options.socket_path).invalidate("k").notice == 1);
    CHECK(running.log.has("a shorter directory helps"));
    running.thread.reset();
    CHECK_FALSE(std::filesystem::exists(running.options.socket_path));
}

TEST_CASE("A cache's name and directory lead to its socket", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    const Notifier notifier = Notifier::for_cache("c", running.directory.path(), kWatchdog);
    CHECK(notifier.socket_path() == running.options.socket_path);
    CHECK(notifier.invalidate("k").ok);
    const NoticeResult told = Notifier::for_cache("no/such/name", running.directory.path()).ping();
    CHECK_FALSE(told);
    CHECK(told.error != "");
}
