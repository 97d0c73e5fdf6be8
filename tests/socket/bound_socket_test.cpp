// The socket's file and the calls that make it: whichever fails is said with a remedy, and nothing is left behind.
#include "shm/socket/bound_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <string>

#include "shm/socket/listener_role.hpp"
#include "shm/socket/socket_address.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder::shm;
using namespace larder::test;
using system::Call;

namespace {

/// Counted without opening one.
int lowest_free_descriptor() {
    const int number = ::dup(0);
    ::close(number);
    return number;
}

}  // namespace

TEST_CASE("A socket that cannot be made is a problem with a remedy, and no descriptor is lost", "[socket]") {
    const ScopedDirectory directory;
    BoundSocket bound(directory.file("c.sock"));
    const int before = lowest_free_descriptor();
    const auto is_refused = [&](const std::string& why) {
        CHECK(bound.open() == -1);
        CHECK_THAT(bound.problem(), Catch::Contains(why) && Catch::Contains("; name another directory"));
        CHECK(lowest_free_descriptor() == before);
        system::fail_nothing();
    };
    system::fail_nth(Call::change_mode, 1, EPERM);
    is_refused("Operation not permitted");
    system::fail_nth(Call::change_mode, 2, EROFS);
    is_refused("Read-only file system");
    system::fail_nth(Call::status, 2, EIO);
    is_refused("Input/output error");
    const int descriptor = bound.open();  // what a failing call left there is replaced
    REQUIRE(descriptor >= 0);
    CHECK(bound.problem().empty());
    CHECK(bound.is_ours());
    ::close(descriptor);
}

TEST_CASE("A socket in the way that cannot be removed is named and left alone", "[socket]") {
    const ScopedDirectory directory;
    BoundSocket first(directory.file("c.sock"));
    const int descriptor = first.open();
    REQUIRE(descriptor >= 0);
    BoundSocket second(directory.file("c.sock"));
    system::fail_nth(Call::remove, 1, EBUSY);
    CHECK(second.open() == -1);
    CHECK_THAT(second.problem(), Catch::Contains("is in the way and no socket that could be removed"));
    CHECK(first.is_ours());
    system::fail_nothing();
    ::close(descriptor);
}

TEST_CASE("No socket is made in a missing directory, with a name too long, or without a descriptor", "[socket][fork]") {
    const ScopedDirectory directory;
    BoundSocket missing(directory.file("missing/c.sock"));
    CHECK(missing.open() == -1);
    CHECK_THAT(missing.problem(), Catch::Contains("No such file or directory"));
    BoundSocket long_name(directory.file(std::string(120, 'n')));
    CHECK(long_name.open() == -1);
    CHECK_THAT(long_name.problem(), Catch::Contains("is too long; choose a cache name"));
    ChildProcess child = ChildProcess::start([&](Channel&) {
        while (::dup(0) >= 0) continue;  // all that it may have
        BoundSocket bound(directory.file("c.sock"));
        return bound.open() == -1 && bound.problem().find("Too many open files") != std::string::npos ? 0 : 1;
    });
    CHECK(child.wait().exited_with(0));
    CHECK_FALSE(std::filesystem::exists(directory.file("c.sock")));
}

TEST_CASE("An address without a path, or that the kernel cannot take, says what to do", "[socket]") {
    const ScopedDirectory directory;
    for (const std::string& path : {std::string(), std::string("a\0b", 3)})
        CHECK_THAT(SocketAddress(path).problem(), Catch::Contains("has no path"));
    const SocketAddress relative(std::string(120, 'n'));
    CHECK_THAT(relative.problem(), Catch::Contains("is too long"));
    const SocketAddress missing(directory.file(std::string(120, 'd') + "/c.sock"));
    CHECK_THAT(missing.problem(), Catch::Contains("cannot open the directory") && Catch::Contains("make it"));
    CHECK(missing.error() == ENOENT);
}

TEST_CASE("Each failure to take the listener's role says what to do, and the role stays free", "[socket]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    ListenerRole role(path);
    system::fail_nth(Call::open, 1, EROFS);
    CHECK_FALSE(role.try_take());
    CHECK_THAT(role.problem(), Catch::Contains("read-only file system; mount it writable"));
    system::fail_nothing();
    system::fail_nth(Call::lock, 1, ENOLCK);
    CHECK_FALSE(role.try_take());
    CHECK_THAT(role.problem(), Catch::Contains("cannot lock") && Catch::Contains("local file system"));
    system::fail_nothing();
    system::fail_nth(Call::status, 2, ENOENT);  // as if the file were replaced between its opening and its locking
    CHECK_FALSE(role.try_take());
    CHECK(role.problem().empty());
    system::fail_nothing();
    CHECK_FALSE(role.still_held());
    CHECK_FALSE(somebody_listens(path));
    CHECK(role.try_take());
}

TEST_CASE("One process has the roles of two caches, and drops them one by one", "[socket]") {
    const ScopedDirectory directory;
    ListenerRole one(directory.file("a.listen")), other(directory.file("b.listen"));
    CHECK(one.try_take());
    CHECK(other.try_take());
    one.release();
    CHECK(other.still_held());
    CHECK_FALSE(somebody_listens(directory.file("a.listen")));
    CHECK(somebody_listens(directory.file("b.listen")));
}
