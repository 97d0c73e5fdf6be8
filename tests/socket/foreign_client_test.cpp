#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/socket/running_listener.hpp"
#include "tests/support/skipped.hpp"

using namespace larder::test;

TEST_CASE("Another user's process gets one error, whatever the modes of the files allow", "[R13][socket][fork]") {
    if (::geteuid() != 0) {
        WARN(kNeedsRoot);
        return;
    }
    RunningListener running;
    REQUIRE(running.start_and_wait());
    REQUIRE(::chmod(running.directory.path().c_str(), 0755) == 0);
    REQUIRE(::chmod(running.options.socket_path.c_str(), 0666) == 0);
    auto child = ChildProcess::start([&](Channel&) {
        if (::setuid(65534) != 0) return 1;
        SocketClient client(running.options.socket_path);
        if (!client.connected()) return 2;
        client.send("invalidate-all\n");
        if (client.read_line() != "error this cache belongs to another user") return 3;
        return client.read_line() == "<end>" ? 0 : 4;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(running.sink.calls().empty());
    CHECK(running.client().ask("ping") == "ok");
}
