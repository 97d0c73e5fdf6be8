#include "shm/system.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using namespace larder::shm;
using test::Channel;
using test::ChildProcess;
using test::ScopedDirectory;

namespace {

struct FailNothing {
    ~FailNothing() { system::fail_nothing(); }
};

Word32& shared_word() {
    const system::Mapped mapped = system::map_shared(-1, kPageBytes, true);
    REQUIRE(mapped.base != nullptr);
    return *reinterpret_cast<Word32*>(mapped.base);
}

}  // namespace

TEST_CASE("the n-th call of a kind fails as a test says, and no other") {
    const FailNothing end;
    struct stat status {};
    system::fail_nth(system::Call::status, 2, EIO);
    CHECK(system::file_status("/", status) == 0);
    CHECK(system::file_status("/", status) == -EIO);
    CHECK(system::file_status("/", status) == 0);
    system::fail_nth(system::Call::status, 1, EACCES, true);
    CHECK(system::file_status("/", status) == -EACCES);
    CHECK(system::file_status("/", status) == -EACCES);
    CHECK(system::is_tmpfs("/proc") == false);
    system::fail_nothing();
    CHECK(system::file_status("/", status) == 0);
    CHECK(system::calls_made(system::Call::status) == 1);
}

TEST_CASE("an allocation goes on after signals, but not for ever") {
    const FailNothing end;
    const ScopedDirectory directory;
    const system::Descriptor file = system::open_temporary(directory.path());
    REQUIRE(file.is_open());
    system::fail_nth(system::Call::allocate, 1, EINTR);
    CHECK(system::allocate(file.number(), 300'000) == 0);
    struct stat status {};
    REQUIRE(system::file_status(file.number(), status) == 0);
    CHECK(status.st_size == 300'000);
    CHECK(status.st_blocks * 512 >= 300'000);
    system::fail_nth(system::Call::allocate, 1, EINTR, true);
    CHECK(system::allocate(file.number(), 600'000) == -EINTR);
    system::fail_nth(system::Call::allocate, 1, ENOSPC);
    CHECK(system::allocate(file.number(), 600'000) == -ENOSPC);
}

TEST_CASE("a file without a name gets a name once") {
    const ScopedDirectory directory;
    const system::Descriptor first = system::open_temporary(directory.path());
    const system::Descriptor second = system::open_temporary(directory.path());
    CHECK(std::filesystem::is_empty(directory.path()));
    CHECK(system::link_temporary(first.number(), directory.file("name")) == 0);
    CHECK(system::link_temporary(second.number(), directory.file("name")) == -EEXIST);
    struct stat named {
    }, opened{};
    REQUIRE(system::file_status(directory.file("name"), named) == 0);
    REQUIRE(system::file_status(first.number(), opened) == 0);
    CHECK(system::file_id(named) == system::file_id(opened));
}

TEST_CASE("no file is opened through a symbolic link") {
    const ScopedDirectory directory;
    std::filesystem::create_symlink("/dev/null", directory.file("link"));
    CHECK(system::open_file(directory.file("link"), O_RDONLY).number() == -ELOOP);
}

TEST_CASE("a locked byte is seen by other processes until its owner is dead") {
    const ScopedDirectory directory;
    const system::Descriptor file = system::open_file(directory.file("lock"), O_RDWR | O_CREAT, 0600);
    REQUIRE(system::lock_byte(file.number(), 1) == 0);
    auto child = ChildProcess::start([&](Channel& parent) {
        if (system::lock_byte(file.number(), 1) != -EAGAIN) return 1;
        if (system::locked_by_other(file.number(), 1, 1) != 1) return 2;
        if (system::lock_byte(file.number(), 7) != 0) return 3;
        parent.tell('l');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'l');
    CHECK(system::locked_by_other(file.number(), 7, 1) == 1);
    CHECK(system::locked_by_other(file.number(), 6, 1) == 0);
    CHECK(system::locked_by_other(file.number(), 0, 256) == 1);
    CHECK(system::lock_byte(file.number(), 7) == -EAGAIN);
    child.kill(SIGKILL);
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    CHECK(system::locked_by_other(file.number(), 0, 256) == 0);
    CHECK(system::lock_byte(file.number(), 7) == 0);
}

TEST_CASE("a futex wait ends by its deadline, by another value and by a wake from another process") {
    Word32& word = shared_word();
    CHECK(system::futex_wait_for(word, 0, 1'000'000) == -ETIMEDOUT);
    CHECK(system::futex_wait_until(word, 0, system::monotonic_ns() + 1'000'000) == -ETIMEDOUT);
    CHECK(system::futex_wait_until(word, 0, 0) == -ETIMEDOUT);
    CHECK(system::futex_wait_for(word, 1, 1'000'000'000) == -EAGAIN);
    auto child = ChildProcess::start([&](Channel&) {
        const std::int64_t deadline_ns = system::monotonic_ns() + 20'000'000'000;
        while (word.load() == 0) {
            const int error = system::futex_wait_until(word, 0, deadline_ns);
            if (error == -ETIMEDOUT) return 1;
        }
        return 0;
    });
    word.store(1);
    system::futex_wake(word);
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("the clocks of one machine agree") {
    const std::int64_t before_ns = system::coarse_ns();
    const std::int64_t now_ns = system::monotonic_ns();
    CHECK(before_ns <= now_ns);
    CHECK(system::boottime_ns() >= now_ns);
}

TEST_CASE("a small file is read, an absent one is an error") {
    char text[64] = {};
    CHECK(system::read_file("/proc/self/comm", std::span<char>(text)) > 0);
    CHECK(system::read_file("/proc/self/nothing", std::span<char>(text)) == -ENOENT);
    CHECK_FALSE(system::program_name().empty());
    CHECK(system::program_name().size() <= 15);
}

TEST_CASE("an armed crash point kills at its count") {
    auto child = ChildProcess::start([](Channel& parent) {
        testing::arm_crash("test.point", 3);
        for (char time = '1'; time <= '3'; ++time) {
            parent.tell(time);
            LARDER_CRASH_POINT("test.other");
            LARDER_CRASH_POINT("test.point");
        }
        return 0;
    });
    CHECK(child.wait().was_killed_by(SIGKILL));
    char last = 0;
    for (char heard = child.hear(); heard != 0; heard = child.hear()) last = heard;
    CHECK(last == '3');
}

TEST_CASE("an armed crash point stops at its name, and goes on") {
    auto child = ChildProcess::start([](Channel&) {
        testing::arm_crash("test.point", 1, testing::Death::stop);
        LARDER_CRASH_POINT("test.point");
        return 5;
    });
    REQUIRE(child.wait_for_stop());
    child.kill(SIGCONT);
    CHECK(child.wait().exited_with(5));
}

TEST_CASE("crash points are counted, and can call back") {
    testing::record_crash_points();
    int calls = 0;
    testing::call_at_crash_point("test.b", 2, [&] { ++calls; });
    for (int time = 0; time < 3; ++time) {
        LARDER_CRASH_POINT("test.a");
        LARDER_CRASH_POINT("test.b");
    }
    testing::disarm_crash();
    CHECK(calls == 1);
    const auto seen = testing::crash_points_seen();
    REQUIRE(seen.size() == 2);
    CHECK(seen[0].name == "test.a");
    CHECK(seen[1].times == 3);
}

TEST_CASE("the environment arms a crash point") {
    const char* point = GENERATE("test.environment:2", "test.environment");
    auto child = ChildProcess::start([&](Channel&) {
        // The environment is read when the first crash point of a process is reached: a program of its own.
        ::setenv("LARDER_CRASH", point, 1);
        ::execl("/proc/self/exe", "shm_tests", "[.environment]", nullptr);
        return 1;
    });
    CHECK(child.wait().was_killed_by(SIGKILL));
}

TEST_CASE("reaches a crash point twice", "[.environment]") {
    LARDER_CRASH_POINT("test.environment");
    LARDER_CRASH_POINT("test.environment");
}

TEST_CASE("the n-th arena allocation fails, or all from it on") {
    testing::fail_allocation(2);
    CHECK_FALSE(testing::allocation_fails());
    CHECK(testing::allocation_fails());
    CHECK_FALSE(testing::allocation_fails());
    testing::fail_allocation(1, true);
    CHECK(testing::allocation_fails());
    CHECK(testing::allocation_fails());
    testing::fail_allocation(0);
    CHECK_FALSE(testing::allocation_fails());
}

TEST_CASE("of allocations by several threads the n-th fails, and all are counted", "[tsan]") {
    testing::fail_allocation(300);
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&failed] {
            for (int n = 0; n < 100; ++n) failed += testing::allocation_fails() ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failed == 1);
    CHECK(testing::allocations_asked() == 400);
    testing::fail_allocation(0);
}

TEST_CASE("a descriptor that is assigned over is closed, itself it is not") {
    system::Descriptor one = system::open_file("/proc/self/stat", O_RDONLY);
    const int first = one.number();
    system::Descriptor& same = one;
    one = std::move(same);
    CHECK(::fcntl(first, F_GETFD) >= 0);
    one = system::open_file("/proc/self/stat", O_RDONLY);
    CHECK(one.is_open());
    CHECK(::fcntl(first, F_GETFD) < 0);
}

TEST_CASE("what cannot be asked has an answer all the same") {
    CHECK(system::free_bytes(-1) == 0);
    CHECK_FALSE(system::is_tmpfs("/absent"));
    CHECK(system::locked_by_other(-1, 0, 1) == -EBADF);
    char text[8];
    CHECK(system::read_file("/absent", text) == -ENOENT);
    const FailNothing end;
    Word32 word{1};
    system::fail_nth(system::Call::futex_wait, 1, EINTR);
    CHECK(system::futex_wait_until(word, 1, 0) == -EINTR);
}

TEST_CASE("huge pages: a file keeps its length, its zeros and its bytes, and lies where such pages can be mapped") {
    for (const std::uint64_t bytes :
         {system::kHugePageBytes - kPageBytes, system::kHugePageBytes, 3 * system::kHugePageBytes + kPageBytes}) {
        const system::Descriptor file(::memfd_create("huge", MFD_CLOEXEC));
        REQUIRE(file.is_open());
        const system::Mapped mapped = system::map_shared(file.number(), bytes, true);
        REQUIRE(mapped.base != nullptr);
        CHECK(reinterpret_cast<std::uintptr_t>(mapped.base) % system::kHugePageBytes == 0);

        system::allocate_huge_pages(file.number(), mapped.base, bytes);
        struct stat status {};
        REQUIRE(system::file_status(file.number(), status) == 0);
        CHECK(static_cast<std::uint64_t>(status.st_size) == bytes / system::kHugePageBytes * system::kHugePageBytes);

        REQUIRE(system::allocate(file.number(), bytes) == 0);
        REQUIRE(system::file_status(file.number(), status) == 0);
        CHECK(static_cast<std::uint64_t>(status.st_size) == bytes);
        CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 >= bytes);
        CHECK(std::all_of(mapped.base, mapped.base + bytes, [](std::byte byte) { return byte == std::byte{0}; }));

        mapped.base[bytes - 1] = std::byte{7};
        const system::Mapped again = system::map_shared(file.number(), bytes, false);
        REQUIRE(again.base != nullptr);
        CHECK(again.base[bytes - 1] == std::byte{7});
        system::unmap(again.base, bytes);
        system::unmap(mapped.base, bytes);
    }
}

TEST_CASE("huge pages: what the kernel refuses is left to be allocated otherwise") {
    const FailNothing end;
    const system::Descriptor file(::memfd_create("huge", MFD_CLOEXEC));
    const system::Mapped mapped = system::map_shared(file.number(), 2 * system::kHugePageBytes, true);
    REQUIRE(mapped.base != nullptr);
    system::fail_nth(system::Call::advise, 1, EINVAL, true);
    system::allocate_huge_pages(file.number(), mapped.base, 2 * system::kHugePageBytes);
    system::fail_nothing();
    CHECK(system::allocate(file.number(), 2 * system::kHugePageBytes) == 0);
    mapped.base[0] = mapped.base[2 * system::kHugePageBytes - 1] = std::byte{1};
    system::unmap(mapped.base, 2 * system::kHugePageBytes);
}
