#include "shm/socket/listener_role.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder::shm;
using namespace larder::test;

TEST_CASE("One object of a process has the role at a time", "[socket][tsan]") {
    const ScopedDirectory directory;
    ListenerRole first(directory.file("c.listen"));
    ListenerRole second(directory.path() + "/../" + directory.path().substr(directory.path().rfind('/') + 1) +
                        "/c.listen");
    CHECK(first.try_take());
    CHECK_FALSE(second.try_take());
    CHECK(second.problem() == "");
    CHECK(first.still_held());
    CHECK_FALSE(second.still_held());
    second.release();
    CHECK(first.still_held());
    first.release();
    CHECK_FALSE(first.still_held());
    CHECK(second.try_take());
}

TEST_CASE("Asking whether somebody listens makes no file", "[socket][tsan]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    CHECK_FALSE(somebody_listens(path));
    CHECK_FALSE(std::filesystem::exists(path));
    ListenerRole role(path);
    REQUIRE(role.try_take());
    CHECK(somebody_listens(path));
    role.release();
    CHECK_FALSE(somebody_listens(path));
}

TEST_CASE("A role on a replaced lock file is held no more, and can be taken on the new one", "[socket][tsan]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    ListenerRole role(path);
    REQUIRE(role.try_take());
    std::filesystem::rename(path, path + ".old");
    CHECK_FALSE(role.still_held());
    std::ofstream(path) << "";
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    CHECK_FALSE(role.still_held());
    role.release();
    CHECK(role.try_take());
    CHECK(role.still_held());
}

TEST_CASE("Of two objects of a process one has the role also after the lock file was replaced", "[socket][tsan]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    ListenerRole first(path), second(path);
    REQUIRE(first.try_take());
    std::filesystem::remove(path);
    REQUIRE(second.try_take());
    CHECK_FALSE(first.still_held());
    first.release();
    CHECK(second.still_held());
    CHECK(somebody_listens(path));
    std::filesystem::remove(path);
    REQUIRE(first.try_take());
    second.release();
    CHECK(first.still_held());
    std::filesystem::remove(path);
    CHECK_FALSE(somebody_listens(path));
    first.release();
    CHECK(second.try_take());
}

TEST_CASE("A lock file that cannot be opened is a problem with a remedy", "[socket][tsan]") {
    const ScopedDirectory directory;
    ListenerRole role(directory.file("missing/c.listen"));
    CHECK_FALSE(role.try_take());
    CHECK(role.problem().find("make its directory") != std::string::npos);
}

TEST_CASE("A lock file that others may lock is not used", "[R13][socket][tsan]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    std::ofstream(path) << "";
    std::filesystem::permissions(path, std::filesystem::perms(0644));
    ListenerRole role(path);
    CHECK_FALSE(role.try_take());
    CHECK(role.problem().find("may be locked by other users") != std::string::npos);
    std::filesystem::remove(path);
    CHECK(role.try_take());
}

TEST_CASE("One process has the role at a time, and asking takes it from nobody", "[socket][fork]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    auto child = ChildProcess::start([&](Channel& parent) {
        ListenerRole role(path);
        parent.tell(role.try_take() && somebody_listens(path) ? 'y' : 'n');
        parent.hear();
        role.release();
        parent.tell('r');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'y');
    ListenerRole role(path);
    CHECK_FALSE(role.try_take());
    CHECK(role.problem() == "");
    CHECK(somebody_listens(path));
    REQUIRE(child.tell('x'));
    REQUIRE(child.hear() == 'r');
    CHECK(role.try_take());
}

TEST_CASE("The role is free once its process was killed", "[socket][fork]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    auto child = ChildProcess::start([&](Channel& parent) {
        ListenerRole role(path);
        parent.tell(role.try_take() ? 'y' : 'n');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'y');
    child.kill(SIGKILL);
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    ListenerRole role(path);
    CHECK(role.try_take());
}

TEST_CASE("A forked child does not have its parent's role, cannot drop it, and may take it afterwards",
          "[R14][socket][fork]") {
    const ScopedDirectory directory;
    const std::string path = directory.file("c.listen");
    ListenerRole role(path);
    REQUIRE(role.try_take());
    auto child = ChildProcess::start([&](Channel& parent) {
        if (role.still_held()) return 1;
        role.release();
        ListenerRole own(path);
        if (own.try_take()) return 2;
        if (!somebody_listens(path)) return 3;
        parent.tell('d');
        parent.hear();
        return own.try_take() ? 0 : 4;
    });
    REQUIRE(child.hear() == 'd');
    CHECK(role.still_held());
    role.release();
    REQUIRE(child.tell('x'));
    CHECK(child.wait().exited_with(0));
}
