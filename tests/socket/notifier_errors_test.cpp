// What a notifier says where nobody, a stranger or a failing listener is at the other end.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "shm/socket/notifier.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/socket_client.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;

namespace {

/// A bound socket, closed with the scope; its file stays.
class Bound {
public:
    Bound(const std::string& path, int type) : descriptor_(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    Bound(const Bound&) = delete;
    ~Bound() { ::close(descriptor_); }
    int number() const { return descriptor_; }

private:
    int descriptor_;
};

std::string error_of_ping(const std::string& path, std::chrono::milliseconds deadline = kWatchdog) {
    const NoticeResult told = Notifier(path, deadline).ping();
    CHECK_FALSE(told);
    return told.error;
}

/// What the notifier says to a server that reads `request_bytes` of many keys, answers and hangs up.
std::string error_after(std::size_t request_bytes, const std::string& answer) {
    const ScopedDirectory directory;
    const Bound server(directory.file("c.sock"), SOCK_STREAM);
    REQUIRE(::listen(server.number(), 1) == 0);
    const std::jthread serving([&server, request_bytes, &answer] {
        const int client = ::accept(server.number(), nullptr, nullptr);
        std::vector<char> read(request_bytes);
        static_cast<void>(::recv(client, read.data(), read.size(), MSG_WAITALL));
        static_cast<void>(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL));
        ::close(client);
    });
    const std::vector<std::string> keys(2'000, std::string(1'000, 'k'));
    const NoticeResult told =
        Notifier(directory.file("c.sock"), 300ms).invalidate(std::vector<std::string_view>(keys.begin(), keys.end()));
    CHECK_FALSE(told);
    return told.error;
}

}  // namespace

TEST_CASE("A socket file that nobody listens on any more may pass, and is waited for", "[socket]") {
    const ScopedDirectory directory;
    { const Bound dead(directory.file("c.sock"), SOCK_STREAM); }
    CHECK_THAT(error_of_ping(directory.file("c.sock"), 30ms), Catch::Contains("nobody listens on"));
}

TEST_CASE("A listener that takes no more connections is waited for", "[socket]") {
    const ScopedDirectory directory;
    const Bound full(directory.file("c.sock"), SOCK_STREAM);
    REQUIRE(::listen(full.number(), 0) == 0);
    const SocketClient first(directory.file("c.sock"));
    REQUIRE(first.connected());
    CHECK_FALSE(error_of_ping(directory.file("c.sock"), 30ms).empty());
}

TEST_CASE("What will not pass is said at once", "[socket][fork]") {
    const ScopedDirectory directory;
    const Bound datagrams(directory.file("c.sock"), SOCK_DGRAM);
    CHECK_THAT(error_of_ping(directory.file("c.sock")), Catch::Contains("cannot connect to"));
    CHECK_THAT(error_of_ping(directory.file(std::string(120, 'n'))), Catch::Contains("is too long"));
    ChildProcess child = ChildProcess::start([&](Channel&) {
        while (::dup(0) >= 0) continue;  // all descriptors that it may have
        const NoticeResult told = Notifier(directory.file("c.sock"), kWatchdog).ping();
        return !told && told.error.find("Too many open files") != std::string::npos ? 0 : 1;
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("A long path whose directory is missing may pass, and is waited for", "[socket]") {
    const ScopedDirectory directory;
    const std::string path = directory.file(std::string(120, 'd')) + "/c.sock";
    CHECK_THAT(error_of_ping(path, 30ms), Catch::Contains("nobody listens on"));
}

TEST_CASE("Who hangs up in the middle of a request may have said why", "[socket]") {
    CHECK(error_after(100'000, "error no room\n") == "no room");
    CHECK_THAT(error_after(100'000, ""), Catch::Contains("no answer from") || Catch::Contains("nobody listens"));
    CHECK_THAT(error_after(100'000, std::string(100'000, 'x')), Catch::Contains("does not answer as larder does"));
}

TEST_CASE("Without a name a notifier takes that of LARDER_CACHE, else default", "[socket]") {
    const ScopedDirectory directory;
    const auto path = [&directory] { return Notifier::for_cache("", directory.path()).socket_path(); };
    ::unsetenv("LARDER_CACHE");
    CHECK(path() == directory.file("default.sock"));
    ::setenv("LARDER_CACHE", "", 1);
    CHECK(path() == directory.file("default.sock"));
    ::setenv("LARDER_CACHE", "pages", 1);
    CHECK(path() == directory.file("pages.sock"));
    ::unsetenv("LARDER_CACHE");
}
