#include "shm/registry.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <vector>

#include "shm/process.hpp"
#include "shm/segment.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/registry_host.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using namespace larder::shm;
using test::Channel;
using test::ChildProcess;
using test::ScopedDirectory;

namespace {

using Host = test::RegistryHost;
constexpr auto kLive = static_cast<std::uint32_t>(SlotState::live), kFree = static_cast<std::uint32_t>(SlotState::free);

/// With the slot of a process that was killed.
struct DeadHost : Host {
    std::uint32_t dead = slot_of_dead();
};

/// The lock file was removed since, and made again.
struct ReplacedHost : DeadHost {
    LockFile* next_lock_file = (std::filesystem::remove(location.lock_path()), open_lock_file());
    Registry next{view(), next_lock_file};
};

/// A child dies at each crash point that `steps` comes past, each in a scene of its own; then `check`.
template <class Scene>
void kill_at_each_point(std::size_t least_points, void (*steps)(Scene&), void (*check)(Scene&)) {
    std::vector<testing::SeenCrashPoint> points;
    {
        Scene scene;
        testing::record_crash_points();
        steps(scene);
        points = testing::crash_points_seen();
    }
    REQUIRE(points.size() >= least_points);
    for (const testing::SeenCrashPoint& point : points) {
        for (std::uint64_t time = 1; time <= point.times; ++time) {
            INFO(point.name << " for the " << time << "th time");
            Scene scene;
            auto victim = ChildProcess::start([&](Channel&) {
                testing::arm_crash(point.name, time);
                steps(scene);
                return 0;
            });
            REQUIRE(victim.wait().was_killed_by(SIGKILL));
            check(scene);
        }
    }
}

}  // namespace

TEST_CASE("a claimed slot says whose it is") {
    Host host;
    const auto mine = host.claim("a role of more than 15 bytes");
    REQUIRE(mine);
    const ProcessSlot& slot = host.slot(mine->slot);
    CHECK(slot.state == kLive);
    CHECK(slot.pid == static_cast<std::uint32_t>(::getpid()));
    CHECK(slot.start_ticks == process::self().start_ticks);
    CHECK(slot.incarnation == mine->incarnation);
    CHECK(std::string(slot.role) == "a role of more ");
    CHECK_FALSE(std::string(slot.name).empty());
    CHECK(host.view().header().registry_high == mine->slot + 1);
}

TEST_CASE("a dead process's slot goes to the next one, clean") {
    Host host;
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    const std::uint64_t incarnation = host.slot(slot).incarnation;
    child.kill(SIGKILL);
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    const auto mine = host.claim();
    REQUIRE(mine);
    CHECK(mine->slot == slot);
    CHECK(mine->incarnation == incarnation + 1);
    CHECK(host.is_cleared(slot));
    CHECK(host.view().threads(slot)[0].counts[0] == 5);
    CHECK(host.registry.dead_for_leases(slot, incarnation));
    CHECK_FALSE(host.registry.dead_for_leases(slot, incarnation + 1));
}

TEST_CASE("a live process is alive by both verdicts, running or stopped") {
    Host host;
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    const std::uint64_t incarnation = host.slot(slot).incarnation;
    for (const bool stopped : {false, true}) {
        if (stopped) {
            child.kill(SIGSTOP);
            REQUIRE(child.wait_for_stop());
        }
        CHECK_FALSE(host.registry.dead_for_pins(slot));
        CHECK_FALSE(host.registry.dead_for_leases(slot, incarnation));
        CHECK_FALSE(host.reap(slot));
    }
    CHECK(host.registry.dead_for_leases(slot, incarnation + 1));
    CHECK(host.claim()->slot != slot);
}

TEST_CASE("a dead process is dead by both verdicts, reaped by its parent or not") {
    Host host;
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    const std::uint64_t incarnation = host.slot(slot).incarnation;
    child.kill(SIGKILL);
    REQUIRE(child.wait_for_zombie());
    CHECK(process::status_of(static_cast<std::uint32_t>(child.pid())).is_zombie_without_threads());
    CHECK(host.registry.dead_for_pins(slot));
    CHECK(host.registry.dead_for_leases(slot, incarnation));
    child.wait();
    CHECK(process::status_of(static_cast<std::uint32_t>(child.pid())).gone);
    CHECK(host.registry.dead_for_pins(slot));
    CHECK(host.registry.dead_for_leases(slot, incarnation));
}

TEST_CASE("this process is alive to itself") {
    Host host;
    const auto mine = host.claim();
    CHECK_FALSE(host.registry.dead_for_pins(mine->slot));
    CHECK_FALSE(host.registry.dead_for_leases(mine->slot, mine->incarnation));
    CHECK_FALSE(host.reap(mine->slot));
    CHECK(host.slot(mine->slot).state == kLive);
}

TEST_CASE("a process that lost its byte keeps its pins and its slot") {
    Host host;
    std::uint32_t slot = 0;
    auto child = ChildProcess::start([&](Channel& parent) {
        const auto registration = host.claim();
        host.pin(registration->slot, 77);
        // Closing any descriptor of a file drops the process's locks on it.
        { const system::Descriptor other = system::open_file(host.location.lock_path(), O_RDWR); }
        parent.tell_bytes(&registration->slot, sizeof registration->slot);
        parent.hear();
        return 0;
    });
    REQUIRE(child.channel().hear_bytes(&slot, sizeof slot));
    CHECK_FALSE(host.lock_file->held_by_other(slot));
    CHECK_FALSE(host.registry.dead_for_pins(slot));
    CHECK(host.registry.dead_for_leases(slot, host.slot(slot).incarnation));
    CHECK_FALSE(host.reap(slot));
    CHECK(host.claim()->slot != slot);
    CHECK(host.cell(slot) == 77);
}

TEST_CASE("an unreadable /proc says alive for pins") {
    Host host;
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    child.kill(SIGKILL);
    child.wait();
    process::self();
    system::fail_nth(system::Call::read_file, 1, EMFILE, true);
    CHECK_FALSE(host.registry.dead_for_pins(slot));
    system::fail_nothing();
    system::fail_nth(system::Call::query_lock, 1, ENOLCK, true);
    CHECK_FALSE(host.registry.dead_for_pins(slot));
    system::fail_nothing();
    CHECK(host.registry.dead_for_pins(slot));
}

TEST_CASE("an exiting process is dead for leases alone") {
    process::Status status;
    status.readable = true;
    for (const std::uint32_t flag : {0x4u, 0x8u, 0x200u}) {
        status.flags = flag | 0x400000u;
        CHECK(status.is_exiting());
        CHECK_FALSE(status.is_zombie_without_threads());
    }
    status.flags = 0x400000u;
    CHECK_FALSE(status.is_exiting());
}

TEST_CASE("a leader that ended before its threads is alive") {
    auto child = ChildProcess::start([](Channel& parent) {
        static Channel* to_parent = &parent;
        pthread_t thread;
        const auto wait = [](void*) -> void* {
            to_parent->tell('t');
            to_parent->hear();
            ::_exit(0);
        };
        ::pthread_create(&thread, nullptr, wait, nullptr);
        ::syscall(SYS_exit, 0);  // this thread alone
        return 1;
    });
    REQUIRE(child.hear() == 't');
    process::Status status;
    for (int looks = 0; looks < 1'000'000 && status.state != 'Z'; ++looks)
        status = process::status_of(static_cast<std::uint32_t>(child.pid()));
    CHECK(status.state == 'Z');
    CHECK_FALSE(status.is_zombie_without_threads());
    child.tell('e');
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("reaping cleans a dead slot and keeps its totals") {
    Host host;
    REQUIRE(host.claim());
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    child.kill(SIGKILL);
    child.wait();
    std::uint32_t cursor = 0;
    const process::Lock lock(test::kWatchdog);
    CHECK(host.registry.reap_some(cursor, 8) == 1);
    CHECK(host.registry.reap_some(cursor, 8) == 0);
    CHECK(host.slot(slot).state == static_cast<std::uint32_t>(SlotState::free));
    CHECK(host.is_cleared(slot));
    CHECK(host.view().threads(slot)[0].counts[0] == 5);
    CHECK_FALSE(host.lock_file->holds(slot));
}

TEST_CASE("a reaper that is killed anywhere is followed by the next, and the slot is free") {
    const auto reap = [](DeadHost& host) { host.reap(host.dead); };
    kill_at_each_point<DeadHost>(5, reap, [](DeadHost& host) {
        const bool was_free = host.slot(host.dead).state == kFree;
        CHECK(host.reap(host.dead) != was_free);
        CHECK(host.slot(host.dead).state == kFree);
        CHECK(host.is_cleared(host.dead));
        std::uint32_t again = 0;
        auto claimer = host.attached_child(again);
        CHECK(again == host.dead);
    });
}

TEST_CASE("a reaper that is killed while it gives back what it may not clean is followed by the next") {
    const auto reap = [](ReplacedHost& host) { host.reap(host.dead); };
    kill_at_each_point<ReplacedHost>(3, reap, [](ReplacedHost& host) {
        CHECK(host.slot(host.dead).state == kLive);
        CHECK(host.cell(host.dead) == 77);
        const process::Lock lock(test::kWatchdog);
        CHECK(host.next.reap(host.dead));
        CHECK(host.is_cleared(host.dead));
    });
}

TEST_CASE("a claimer that is killed anywhere is followed by the next") {
    const auto claim = [](Host& host) { host.claim(); };
    kill_at_each_point<Host>(6, claim, [](Host& host) {
        CHECK(host.registry.dead_for_pins(0));
        const auto mine = host.claim();
        REQUIRE(mine);
        CHECK(mine->slot == 0);
        CHECK(host.slot(0).state == kLive);
    });
}

TEST_CASE("what this process left in a slot before it replaced its program is taken over") {
    Host host;
    host.slot(3).pid = static_cast<std::uint32_t>(::getpid());
    host.slot(3).start_ticks = process::self().start_ticks;
    host.slot(3).state = kLive;
    host.pin(3, 77);
    CHECK(host.claim()->slot == 3);
    CHECK(host.cell(3) == 0);
}

TEST_CASE("another copy of the library in this process keeps its slot and its byte") {
    Host one;
    REQUIRE(one.claim()->slot == 0);
    one.pin(0, 77);
    one.slot(0).claimed_by ^= 1ULL << 63;  // as if it were the other copy's
    CHECK(one.claim()->slot == 1);
    CHECK(one.cell(0) == 77);
    CHECK_FALSE(one.registry.dead_for_leases(0, one.slot(0).incarnation));
    ChildProcess child = ChildProcess::start([&](Channel&) { return one.lock_file->held_by_other(0) ? 0 : 1; });
    CHECK(child.wait().exited_with(0));
}

// To the kernel all copies of the library in a process have its bytes: one that took or dropped a byte while another
// may have the slot would take it from that one.
TEST_CASE("a byte is taken and dropped only by the copy of the library that has the slot") {
    Host host;
    REQUIRE(host.claim()->slot == 0);
    const std::uint64_t own_word = host.slot(0).claimed_by;
    for (const char* point : {"lock_file.taken", "lock_file.dropped"}) {
        INFO(point);
        std::uint32_t slot = 0;
        auto child = host.attached_child(slot);
        child.kill(SIGKILL);
        child.wait();
        std::uint64_t word_then = 0;
        testing::call_at_crash_point(point, 1, [&] { word_then = host.slot(slot).claimed_by; });
        CHECK(host.reap(slot));
        testing::disarm_crash();
        CHECK(word_then == own_word);
        CHECK(host.slot(slot).claimed_by == 0);
        CHECK_FALSE(host.lock_file->holds(slot));
    }
}

TEST_CASE("a slot that another copy of the library is seizing is left to it") {
    Host host;
    REQUIRE(host.claim()->slot == 0);
    const std::uint64_t others = host.slot(0).claimed_by ^ 1ULL << 63;
    host.slot(1).state = kLive;
    host.slot(1).claimed_by = others;  // on its way: dead by pid, the byte this process's
    CHECK_FALSE(host.reap(1));
    CHECK_FALSE(host.lock_file->holds(1));
    CHECK(host.slot(1).claimed_by == others);
}

TEST_CASE("a slot that a living process is seizing is left to it, and one that died there is not waited for") {
    Host host;
    REQUIRE(host.claim()->slot == 0);
    auto claimer = ChildProcess::start([&](Channel&) {
        testing::arm_crash("registry.seized", 1, testing::Death::stop);
        host.claim();
        return 0;
    });
    REQUIRE(claimer.wait_for_stop());
    const auto next = [&] {
        std::uint32_t slot = 0;
        auto child = host.attached_child(slot);
        child.tell('e');
        child.wait();
        return slot;
    };
    CHECK_FALSE(host.lock_file->held_by_other(1));
    CHECK(next() == 2);
    claimer.kill(SIGKILL);
    claimer.wait();
    CHECK(next() == 1);
}

TEST_CASE("a lock file whose descriptor was closed locks no other file") {
    Host host;
    ChildProcess child = ChildProcess::start([&](Channel&) {
        const std::string other = host.directory.path() + "/other";
        for (int descriptor = 3; descriptor < 64; ++descriptor) ::close(descriptor);
        int opened = 0;
        while (opened >= 0 && opened < 60) opened = ::open(other.c_str(), O_RDWR | O_CREAT, 0600);
        if (!host.claim()) return 1;
        struct flock lock {};
        lock.l_type = F_WRLCK;
        const pid_t asker = ::fork();
        if (asker == 0) {
            const int descriptor = ::open(other.c_str(), O_RDWR);
            ::_exit(::fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK ? 0 : 1);
        }
        int status = 0;
        ::waitpid(asker, &status, 0);
        return WEXITSTATUS(status);
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("with every slot taken there is none to claim") {
    Host host;
    const process::Status other = process::status_of(static_cast<std::uint32_t>(::getppid()));
    for (std::uint32_t slot = 0; slot < kProcesses; ++slot) {
        host.slot(slot).pid = other.pid;
        host.slot(slot).start_ticks = other.start_ticks;
        host.slot(slot).state = kLive;
    }
    CHECK_FALSE(host.claim());
    CHECK(host.lock_file->held_slot() == kProcesses);
    host.slot(200).start_ticks = other.start_ticks + 1;
    CHECK(host.claim()->slot == 200);
}

TEST_CASE("a lock file of the same name proves nothing about who holds the old one") {
    Host host;
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    std::filesystem::remove(host.location.lock_path());
    CHECK_FALSE(host.lock_file->is_current());
    LockFile* next = host.open_lock_file();
    REQUIRE(next != host.lock_file);
    CHECK(next->is_current());
    CHECK(host.open_lock_file() == next);
    Registry registry(host.view(), next);
    CHECK_FALSE(registry.dead_for_pins(slot));
    const process::Lock lock(test::kWatchdog);
    CHECK(registry.claim("test")->slot != slot);
    child.kill(SIGKILL);
    child.wait();
    const std::uint64_t word = host.slot(slot).claimed_by;
    CHECK_FALSE(host.registry.reap(slot));  // by the old file: anybody may have the slot by the new one
    CHECK(host.slot(slot).claimed_by == word);
    CHECK_FALSE(host.lock_file->holds(slot));
    CHECK(host.cell(slot) == 77);
    CHECK(registry.reap(slot));
}

TEST_CASE("a lock file that is no file of ours is refused") {
    const ScopedDirectory directory;
    const process::Lock lock(test::kWatchdog);
    std::filesystem::create_symlink(directory.file("elsewhere"), directory.file("link"));
    CHECK(test::refused_at([&] { LockFile::open(directory.file("link")); }) == "registry");
    REQUIRE(system::open_file(directory.file("open"), O_RDWR | O_CREAT, 0600).is_open());
    REQUIRE(system::change_mode(directory.file("open"), 0666) == 0);
    CHECK(test::refused_at([&] { LockFile::open(directory.file("open")); }) == "registry");
}

TEST_CASE("a forked child holds none of its parent's bytes", "[R14]") {
    Host host;
    const auto mine = host.claim();
    auto child = ChildProcess::start([&](Channel&) {
        const process::Lock lock(test::kWatchdog);
        if (host.lock_file->holds(mine->slot) || host.lock_file->take(mine->slot)) return 1;
        if (!host.lock_file->any_slot_held_by_other()) return 2;
        const auto own = host.registry.claim("child");
        return own && own->slot != mine->slot ? 0 : 3;
    });
    CHECK(child.wait().exited_with(0));
    CHECK_FALSE(host.lock_file->any_slot_held_by_other());
}

TEST_CASE("a process alone has no dead") {
    Options options = test::small_options("unused");
    const Segment segment = Segment::create_in_memory(options, nullptr);
    Registry registry(segment.view(), nullptr);
    const auto mine = registry.claim("alone");
    REQUIRE(mine);
    CHECK(mine->slot == 0);
    CHECK_FALSE(registry.dead_for_pins(0));
    CHECK_FALSE(registry.dead_for_leases(0, mine->incarnation));
    CHECK_FALSE(registry.reap(0));
}
