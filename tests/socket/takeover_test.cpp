#include <catch2/catch.hpp>
#include <filesystem>

#include "shm/socket/listener_role.hpp"
#include "tests/socket/running_listener.hpp"

using namespace larder;
using namespace larder::test;

namespace {

// A process that listens until it is killed or its parent hangs up.
ChildProcess start_listening_process(const std::string& directory) {
    return ChildProcess::start([directory](Channel& parent) {
        RecordingSink sink;
        const shm::ListenerThread listener(options_in(directory), sink);
        parent.tell(eventually([&] { return listener.listening(); }) ? 'y' : 'n');
        parent.hear();
        return 0;
    });
}

}  // namespace

TEST_CASE("Of two processes one listens, and the other goes on when it is killed", "[socket][fork]") {
    RunningListener running;
    auto child = start_listening_process(running.directory.path());
    REQUIRE(child.hear() == 'y');
    running.start();
    SocketClient client = running.client();
    REQUIRE(client.ask("invalidate k") == "ok 1 notice=1");
    CHECK(running.sink.calls().empty());
    CHECK_FALSE(running.thread->listening());
    child.kill(SIGKILL);
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    CHECK(client.read_line() == "<end>");
    REQUIRE(running.wait());
    CHECK(running.client().ask("invalidate k") == "ok 1 notice=1");
    CHECK(running.sink.calls().size() == 1);
}

TEST_CASE("A listener that stops leaves role and socket to the next one", "[socket][fork]") {
    RunningListener running;
    // Forked before there is a thread: one that allocates just then would leave the sanitizer's allocator locked in it.
    auto child = ChildProcess::start([directory = running.directory.path()](Channel& parent) {
        parent.hear();
        RecordingSink sink;
        const shm::ListenerThread listener(options_in(directory), sink);
        parent.hear();
        if (!eventually([&] { return listener.listening(); })) return 1;
        parent.tell('y');
        parent.hear();
        return 0;
    });
    REQUIRE(running.start_and_wait());
    REQUIRE(child.tell('s'));
    running.thread.reset();
    REQUIRE(child.tell('x'));
    REQUIRE(child.hear() == 'y');
    CHECK(running.client().ask("ping") == "ok");
}

TEST_CASE("A forked child of a listener holds neither its socket nor its clients, and can end as it likes",
          "[R14][socket][fork]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    REQUIRE(client.ask("ping") == "ok");
    auto child = ChildProcess::start([&](Channel& parent) {
        if (running.thread->listening()) return 1;
        running.thread.reset();  // stops nothing, waits for nobody
        if (!std::filesystem::exists(running.options.socket_path)) return 2;
        parent.tell('y');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'y');
    REQUIRE(client.ask("ping") == "ok");
    running.options.lock_path.clear();
    running.thread.reset();
    CHECK(client.read_line() == "<end>");  // nobody else has it open
    CHECK_FALSE(running.client().connected());
    REQUIRE(child.tell('x'));
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("A child of a listener can become the listener when its parent has stopped", "[socket][fork]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    auto child = start_listening_process(running.directory.path());
    running.thread.reset();
    REQUIRE(child.hear() == 'y');
    CHECK(running.client().ask("ping") == "ok");
}

TEST_CASE("A listener whose lock file was replaced steps down and competes for the new one", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    SocketClient client = running.client();
    REQUIRE(client.ask("ping") == "ok");
    std::filesystem::remove(running.options.lock_path);
    CHECK(client.read_line() == "<end>");
    CHECK(running.log.has("was replaced"));
    CHECK(eventually([&] { return running.client().ask("ping") == "ok"; }));
}

TEST_CASE("Two listeners of one process share one role", "[socket][tsan]") {
    RunningListener running;
    REQUIRE(running.start_and_wait());
    RecordingSink other_sink;
    const shm::ListenerThread other(running.options, other_sink);
    REQUIRE(running.client().ask("ping") == "ok");
    CHECK_FALSE(other.listening());
    running.thread.reset();
    REQUIRE(eventually([&] { return other.listening(); }));
    CHECK(running.client().ask("invalidate k") == "ok 1 notice=1");
    CHECK(other_sink.calls().size() == 1);
}
