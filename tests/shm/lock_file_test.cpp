// A lock file whose descriptor is closed, and slots of the registry under words of other programs and copies.
#include "shm/lock_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "shm/mapping.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/registry_host.hpp"

using namespace larder;
using namespace larder::shm;
using namespace std::chrono_literals;
using test::Channel;
using test::ChildProcess;
using test::small_options;
using Host = test::RegistryHost;

namespace {

constexpr std::uint32_t kLive = static_cast<std::uint32_t>(SlotState::live);

/// As a program does that knows nothing of them.
void close_descriptors() { ::close_range(3, ~0U, 0); }

bool is_locked(const LockFile& file, std::uint32_t byte) {
    auto asker = ChildProcess::start([&](Channel&) { return file.held_by_other(byte) ? 1 : 0; });
    return asker.wait().exited_with(1);
}

/// In a child, whose descriptors are its own to close; 0: all is well.
template <class Function>
bool holds_in_child(Function&& function) {
    auto child = ChildProcess::start([&](Channel&) { return function(); });
    return child.wait().exited_with(0);
}

}  // namespace

TEST_CASE("a lock file that was closed under its process is opened again, with the locks that it had") {
    Host host;
    CHECK(holds_in_child([&] {
        const auto mine = host.claim();
        if (!mine || !is_locked(*host.lock_file, mine->slot)) return 1;
        close_descriptors();
        const process::Lock lock(test::kWatchdog);
        host.lock_file->restore();
        if (!host.lock_file->holds(mine->slot)) return 2;
        auto asker = ChildProcess::start([&](Channel&) { return host.lock_file->held_by_other(mine->slot) ? 0 : 1; });
        return asker.wait().exited_with(0) ? 0 : 3;
    }));
}

TEST_CASE("a lock that cannot be had again is known to be lost") {
    Host host;
    CHECK(holds_in_child([&] {
        const auto mine = host.claim();
        close_descriptors();
        const process::Lock lock(test::kWatchdog);
        system::fail_nth(system::Call::lock, 1, EAGAIN);
        host.lock_file->restore();
        if (host.lock_file->holds(mine->slot)) return 1;
        host.lock_file->drop(mine->slot);
        return host.lock_file->take(mine->slot) ? 0 : 2;
    }));
}

TEST_CASE("a lock file that cannot be opened again locks nothing, until it can") {
    Host host;
    const std::string path = host.location.lock_path();
    CHECK(holds_in_child([&] {
        close_descriptors();
        const process::Lock lock(test::kWatchdog);
        std::filesystem::rename(path, path + ".away");
        if (host.lock_file->take(5)) return 1;
        std::filesystem::rename(path + ".away", path);
        system::fail_nth(system::Call::open, 1, EMFILE, true);
        if (host.lock_file->take(5)) return 2;
        system::fail_nothing();
        system::fail_nth(system::Call::status, 3, EIO);  // what was opened cannot be looked at
        host.lock_file->restore();
        if (host.lock_file->holds(5)) return 3;
        return host.lock_file->take(5) && is_locked(*host.lock_file, 5) ? 0 : 4;
    }));
}

TEST_CASE("a lock file that cannot be asked for is what it was") {
    Host host;
    const process::Lock lock(test::kWatchdog);
    system::fail_nth(system::Call::status, 1, EIO);
    CHECK(host.lock_file->take(5));
    system::fail_nothing();
    CHECK(is_locked(*host.lock_file, 5));
    host.lock_file->drop(6);  // not taken
    CHECK(is_locked(*host.lock_file, 5));
}

TEST_CASE("a lock file is opened once, also where it was not seen at first, or others make and remove it") {
    Host host;
    const process::Lock lock(test::kWatchdog);
    REQUIRE(host.lock_file->take(5));
    system::fail_nth(system::Call::status, 1, ENOENT);
    CHECK(LockFile::open(host.location.lock_path()) == host.lock_file);
    CHECK(is_locked(*host.lock_file, 5));
    system::fail_nth(system::Call::open, 1, EEXIST);
    CHECK(LockFile::open(host.directory.file("another.lock")) != host.lock_file);
    system::fail_nothing();
}

TEST_CASE("who names a cache's database waits for another that stands still, as long as it was told", "[fork]") {
    const test::ScopedDirectory directory;
    Options options = small_options(directory.path());
    Mapping::open(options, nullptr);
    options.identity = "a.db";
    auto other = ChildProcess::start([&](Channel&) {
        testing::arm_crash("identity.claimed", 1, testing::Death::stop);
        Mapping::open(options, nullptr);
        return 0;
    });
    REQUIRE(other.wait_for_stop());
    CHECK(test::refused_at([&] { Mapping::open(options, nullptr, 20ms); }) == "identity");
    other.kill(SIGCONT);
    CHECK(other.wait().exited_with(0));
    CHECK(Mapping::open(options, nullptr, 20ms)->ready());
}

TEST_CASE("a slot under the word of this process's earlier program is taken over, of another copy it is not") {
    Host host;
    REQUIRE(host.claim()->slot == 0);
    const std::uint64_t own = host.slot(0).claimed_by;
    const auto claims = [&](std::uint64_t word) {
        host.slot(1).pid = static_cast<std::uint32_t>(::getpid());
        host.slot(1).start_ticks = process::self().start_ticks;
        host.slot(1).state = kLive;
        host.slot(1).claimed_by = word;
        return host.registry.dead_for_leases(1, host.slot(1).incarnation);
    };
    const std::uint64_t other_copy = own ^ 1ULL << 63;
    CHECK(claims(own ^ 1ULL << 32));                     // another program
    CHECK(claims(own ^ 1ULL << 22));                     // started at another time
    CHECK_FALSE(claims(other_copy));                     // this program
    CHECK_FALSE(claims(other_copy & ~(1023ULL << 22)));  // its time was not to be read
    CHECK_FALSE(host.reap(1));                           // this process's, whoever has the byte
    host.slot(1).claimed_by = own ^ 1ULL << 32;
    const process::Lock lock(test::kWatchdog);
    host.lock_file->drop(0);
    host.slot(0).claimed_by = other_copy;
    CHECK(host.registry.claim("next")->slot == 1);
}

TEST_CASE("a process whose number was given anew is dead by its start time") {
    Host host;
    REQUIRE(host.claim());
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    host.slot(slot).start_ticks += 1;
    CHECK(host.registry.dead_for_leases(slot, host.slot(slot).incarnation));
    host.slot(5).pid = static_cast<std::uint32_t>(::getpid());
    host.slot(5).start_ticks = process::self().start_ticks + 1;
    host.slot(5).state = kLive;
    CHECK(host.registry.dead_for_pins(5));
    CHECK(host.reap(5));
    const std::uint64_t word = host.slot(slot).claimed_by;
    const auto seized = [&](std::uint64_t by) {
        host.slot(6).state = kLive;
        host.slot(6).claimed_by = by;
        return !host.reap(6);
    };
    CHECK(seized(word));                     // lives
    CHECK(seized(word & ~(1023ULL << 22)));  // and may be the one
    CHECK_FALSE(seized(word ^ 1ULL << 22));  // is another by now
    CHECK(host.registry.dead_for_leases(kProcesses, 1));
    CHECK(host.registry.dead_for_leases(7, 0));
}

TEST_CASE("where /proc cannot be read a slot of this process's number is its own") {
    Host host;
    REQUIRE(host.claim());
    CHECK(holds_in_child([&] {
        const std::uint64_t word = host.slot(0).claimed_by;
        system::fail_nth(system::Call::read_file, 1, EMFILE, true);
        host.slot(1).pid = static_cast<std::uint32_t>(::getpid());
        host.slot(1).start_ticks = 12345;
        host.slot(1).state = kLive;
        host.slot(1).claimed_by = (word >> 22 << 22 ^ 1ULL << 63) | static_cast<std::uint32_t>(::getpid());
        if (host.registry.dead_for_pins(1)) return 1;
        return host.registry.dead_for_leases(1, host.slot(1).incarnation) ? 2 : 0;
    }));
}

TEST_CASE("what a process would be dead by counts only where it was read") {
    process::Status status;
    status.state = 'X';
    status.flags = 0x4;
    CHECK_FALSE(status.is_zombie_without_threads());
    CHECK_FALSE(status.is_exiting());
    status.readable = true;
    CHECK(status.is_zombie_without_threads());
    CHECK(status.is_exiting());
}

TEST_CASE("a child registers once, and gives way to another thread of its own that is at it", "[R14]") {
    const test::ScopedDirectory directory;
    Mapping* mapping = Mapping::open(small_options(directory.path()), nullptr);
    CHECK(holds_in_child([&] {
        std::optional<process::Lock> lock(std::in_place, 0ms);
        if (mapping->ready() || mapping->reap_some(8) != 0) return 1;
        bool ready = false;
        std::thread other([&] { ready = mapping->ready(20s); });
        std::thread second([&] { mapping->ready(20s); });
        test::eventually([] { return false; }, 50ms);
        lock.reset();
        other.join();
        second.join();
        if (!ready || !mapping->ready()) return 2;
        lock.emplace(0ms);
        return mapping->reap_some(8) == 0 ? 0 : 3;
    }));
}

TEST_CASE("a directory that became a file is a cache that was removed") {
    const test::ScopedDirectory directory;
    Options options = small_options(directory.file("cache"));
    Mapping* mapping = Mapping::open(options, nullptr);
    std::filesystem::rename(directory.file("cache"), directory.file("away"));
    REQUIRE(system::open_file(directory.file("cache"), O_CREAT | O_RDWR, 0600).is_open());
    CHECK(mapping->replaced(system::coarse_ns() + 1'000'000'000));
}

TEST_CASE("a thread that forked keeps its block when the child's copy of it ends", "[R14]") {
    struct Last {  // made first, so that it ends last: the child is to run no exit handlers
        pid_t parent = ::getpid();
        ~Last() {
            if (::getpid() != parent) ::_exit(0);
        }
    };
    const test::ScopedDirectory directory;
    Mapping* mapping = Mapping::open(small_options(directory.path()), nullptr);
    std::uint32_t owner = 0;
    int status = -1;
    std::thread([&] {
        static thread_local Last last;
        if (last.parent != ::getpid()) return;
        const ThreadBlock* block = mapping->thread_block();
        const pid_t child = ::fork();
        if (child == 0) return;
        ::waitpid(child, &status, 0);
        owner = block->owner;
    }).join();
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(owner != 0);
}
