#include "shm/location.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "shm/cache.hpp"
#include "shm/system.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/skipped.hpp"

using namespace larder;
using namespace larder::shm;
using test::Channel;
using test::ChildProcess;
using test::refused_at;
using test::ScopedDirectory;

namespace {

class ScopedVariable {
public:
    ScopedVariable(const char* name, const char* value) : name_(name) {
        if (const char* old = ::getenv(name)) old_ = old;
        value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
    }
    ~ScopedVariable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

private:
    const char* name_;
    std::optional<std::string> old_;
};

unsigned mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a cache's name is of harmless characters") {
    for (const char* good : {"a", "default", "A-Z_0.9", "..."}) CHECK(is_valid_name(good));
    for (const char* bad : {"", ".", "..", "a/b", "a b", "\n", "\xc3\xa4"}) CHECK_FALSE(is_valid_name(bad));
    CHECK(is_valid_name(std::string(64, 'x')));
    CHECK_FALSE(is_valid_name(std::string(65, 'x')));
    CHECK_FALSE(is_valid_name(std::string("a\0b", 3)));
    CHECK(refused_at([] { locate("/tmp", "a/b", true); }) == "options");
}

TEST_CASE("the four files lie side by side") {
    const Location location{"/d", "n"};
    CHECK(location.segment_path() == "/d/n.seg");
    CHECK(location.socket_path() == "/d/n.sock");
    CHECK(location.lock_path() == "/d/n.lock");
    CHECK(location.listen_path() == "/d/n.listen");
}

TEST_CASE("a named directory is made with mode 0700 whatever the umask is", "[R13]") {
    const ScopedDirectory parent;
    const mode_t old = ::umask(0277);
    const Location location = locate(parent.file("cache/"), "n", true);
    ::umask(old);
    CHECK(location.directory == parent.file("cache"));
    CHECK(mode_of(location.directory) == 0700);
    CHECK(locate(parent.file("cache"), "n", true).directory == location.directory);
}

TEST_CASE("a named directory may be on any file system") {
    const ScopedDirectory disk("/tmp");
    CHECK(locate(disk.path(), "n", true).on_tmpfs == system::is_tmpfs("/tmp"));
}

TEST_CASE("an absent directory is not made by who only looks") {
    const ScopedDirectory parent;
    CHECK(locate(parent.file("absent"), "n", false).directory == parent.file("absent"));
    CHECK(::access(parent.file("absent").c_str(), F_OK) != 0);
}

TEST_CASE("a directory that others may enter is refused, with the remedy") {
    const ScopedDirectory parent;
    for (const mode_t mode : {0755, 0770, 0701, 0500}) {
        REQUIRE(::chmod(parent.path().c_str(), mode) == 0);
        try {
            locate(parent.path(), "n", true);
            FAIL("mode " << mode << " was taken");
        } catch (const OpenError& error) {
            CHECK(error.stage == "directory");
            CHECK(error.remedy == "run `chmod 700 " + parent.path() + "`");
            CHECK(std::string(error.what()) == error.stage + ": " + error.reason + "; " + error.remedy);
        }
    }
    const auto remedy = [&](mode_t mode) {
        REQUIRE(::chmod(parent.path().c_str(), mode) == 0);
        try {
            locate(parent.path(), "n", true);
        } catch (const OpenError& error) {
            return error.remedy;
        }
        return std::string();
    };
    CHECK_THAT(remedy(01777), Catch::Contains("mkdir -m 700 " + parent.path() + "/larder"));  // as /tmp: never closed
    auto child = ChildProcess::start([&](Channel&) {  // what cannot be listed may hold anything
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_NOFILE, &none);
        return remedy(0755).find("chmod") == std::string::npos ? 0 : 1;
    });
    CHECK(child.wait().exited_with(0));
    REQUIRE(system::open_file(parent.file("a b.seg"), O_CREAT | O_RDWR, 0600).is_open());
    CHECK_THAT(remedy(0755), !Catch::Contains("chmod"));  // no cache has that name
    REQUIRE(::chmod(parent.path().c_str(), 0700) == 0);
}

TEST_CASE("a directory of another user is refused", "[R13]") {
    const ScopedDirectory parent;
    if (::chown(parent.path().c_str(), 12345, static_cast<gid_t>(-1)) != 0) {
        WARN(test::kNeedsRoot);
        return;
    }
    CHECK(refused_at([&] { locate(parent.path(), "n", true); }) == "directory");
}

TEST_CASE("what is no directory, or cannot be made, is refused") {
    const ScopedDirectory parent;
    REQUIRE(system::open_file(parent.file("file"), O_CREAT | O_RDWR, 0600).is_open());
    CHECK(refused_at([&] { locate(parent.file("file"), "n", true); }) == "directory");
    CHECK(refused_at([&] { locate(parent.file("file/below"), "n", true); }) == "directory");
    CHECK(refused_at([&] { locate(parent.file("absent/below"), "n", true); }) == "directory");
    CHECK(refused_at([&] { locate(std::string(5000, 'x'), "n", true); }) == "directory");
}

TEST_CASE("a directory that cannot be made is said with what helps") {
    const ScopedDirectory parent;
    const auto said = [&](int error) {
        system::fail_nth(system::Call::make_directory, 1, error);
        std::string text;
        try {
            locate(parent.file("cache"), "n", true);
        } catch (const OpenError& refused) {
            text = refused.what();
        }
        system::fail_nothing();
        return text;
    };
    CHECK_THAT(said(EROFS), Catch::Contains("choose another directory"));
    CHECK_THAT(said(EACCES), Catch::Contains("mkdir -p -m 700"));
    CHECK_THAT(said(EEXIST), Catch::Contains("does not exist"));  // removed again by whoever was faster
    CHECK(locate(parent.file("cache"), "n", true).directory == parent.file("cache"));
}

TEST_CASE("without a usable directory each is named with its fault") {
    const ScopedVariable no_directory("LARDER_DIR", nullptr);
    const std::string own = "/dev/shm/larder-" + std::to_string(::geteuid());
    for (const std::string& runtime :
         {std::string("/somewhere"), std::string("relative"), std::string(), "/" + std::string(5000, 'x')}) {
        const ScopedVariable variable("XDG_RUNTIME_DIR", runtime.c_str());
        system::fail_nth(system::Call::status, 1, EACCES, true);
        CHECK_THROWS_WITH(locate("", "n", true),
                          Catch::Contains("cannot look at " + own) && Catch::Contains("cannot look at /run/larder"));
        CHECK(locate("", "n", false).directory == own);
        system::fail_nothing();
    }
}

TEST_CASE("a runtime directory in which none can be made is passed over") {
    if (system::is_tmpfs("/run") && ::access("/run", W_OK) == 0) return;
    const ScopedVariable no_directory("LARDER_DIR", nullptr);
    const ScopedDirectory runtime("/dev/shm");
    const ScopedVariable variable("XDG_RUNTIME_DIR", runtime.path().c_str());
    system::fail_nth(system::Call::make_directory, 1, EACCES, true);
    std::string chosen;
    refused_at([&] { chosen = locate("", "n", true).directory; });  // the next may be there already
    system::fail_nothing();
    CHECK(chosen != runtime.file("larder"));
    CHECK(::access(runtime.file("larder").c_str(), F_OK) != 0);
}

TEST_CASE("LARDER_DIR names the directory unless the options do") {
    const ScopedDirectory one, two;
    const ScopedVariable variable("LARDER_DIR", one.path().c_str());
    CHECK(locate("", "n", true).directory == one.path());
    CHECK(locate(two.path(), "n", true).directory == two.path());
}

TEST_CASE("without a name the directory is one of ours on tmpfs") {
    if (system::is_tmpfs("/run") && ::access("/run", W_OK) == 0) {
        WARN("/run/larder would be used: skipped");
        return;
    }
    const ScopedVariable no_directory("LARDER_DIR", nullptr);
    SECTION("in XDG_RUNTIME_DIR, made there") {
        const ScopedDirectory runtime("/dev/shm");
        const ScopedVariable variable("XDG_RUNTIME_DIR", runtime.path().c_str());
        CHECK(locate("", "n", true).directory == runtime.file("larder"));
        CHECK(mode_of(runtime.file("larder")) == 0700);
    }
    SECTION("not where a link leads or others may enter") {
        const ScopedDirectory runtime("/dev/shm"), target("/dev/shm");
        const ScopedVariable variable("XDG_RUNTIME_DIR", runtime.path().c_str());
        REQUIRE(::symlink(target.path().c_str(), runtime.file("larder").c_str()) == 0);
        CHECK(locate("", "n", false).directory == "/dev/shm/larder-" + std::to_string(::geteuid()));
    }
    SECTION("not on a disk") {
        const ScopedDirectory runtime("/var/tmp");
        if (system::is_tmpfs(runtime.path())) return;
        const ScopedVariable variable("XDG_RUNTIME_DIR", runtime.path().c_str());
        CHECK(locate("", "n", false).directory == "/dev/shm/larder-" + std::to_string(::geteuid()));
        REQUIRE(::mkdir(runtime.file("larder").c_str(), 0700) == 0);
        CHECK(locate("", "n", false).directory == "/dev/shm/larder-" + std::to_string(::geteuid()));
    }
}
