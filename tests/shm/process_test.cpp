#include "shm/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "shm/mapping.hpp"
#include "shm/replacement.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/skipped.hpp"

using namespace larder;
using namespace larder::shm;
using namespace std::chrono_literals;
using test::Channel;
using test::ChildProcess;
using test::refused_at;
using test::ScopedDirectory;
using test::small_options;

namespace {

Mapping* open(const ScopedDirectory& directory) { return Mapping::open(small_options(directory.path()), nullptr); }

/// Threads that each hold their block until told to end.
class Holders {
public:
    ThreadBlock* add(Mapping* mapping) {
        ThreadBlock* block = nullptr;
        std::unique_lock lock(mutex_);
        const std::size_t before = started_;
        threads_.emplace_back([this, mapping, &block] {
            std::unique_lock own(mutex_);
            block = mapping->thread_block();
            ++started_;
            changed_.notify_all();
            changed_.wait(own, [this] { return ended_; });
        });
        changed_.wait(lock, [&] { return started_ > before; });
        return block;
    }
    void end() {
        {
            const std::scoped_lock lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }
    ~Holders() { end(); }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t started_ = 0;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("each forked child has a generation of its own", "[R14]") {
    const std::uint64_t mine = process::generation();
    CHECK(mine != 0);
    CHECK(process::generation() == mine);
    auto child = ChildProcess::start([&](Channel&) {
        const std::uint64_t childs = process::generation();
        if (childs == 0 || childs == mine || childs != process::generation()) return 1;
        auto grandchild = ChildProcess::start([&](Channel&) {
            const std::uint64_t own = process::generation();
            return own != 0 && own != mine && own != childs ? 0 : 2;
        });
        return grandchild.wait().exited_with(0) ? 0 : 3;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(process::generation() == mine);
}

TEST_CASE("a child's process-local lock is free whoever held it at the fork") {
    const process::Lock lock(1s);
    REQUIRE(lock.is_held());
    auto child = ChildProcess::start([&](Channel&) {
        const process::Lock own(0ms);
        return own.is_held() ? 0 : 1;
    });
    CHECK(child.wait().exited_with(0));
    std::thread other([] { CHECK_FALSE(process::Lock(1ms).is_held()); });
    other.join();
}

TEST_CASE("a child that was forked inside the lock leaves its own alone") {
    auto child = ChildProcess::start([](Channel&) {
        pid_t pid = 0;
        std::optional<process::Lock> childs;
        {
            const process::Lock lock(1s);
            pid = ::fork();
            if (pid == 0) childs.emplace(0ms);
        }
        if (pid != 0) {
            int status = 0;
            ::waitpid(pid, &status, 0);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 9;
        }
        return childs->is_held() && !process::Lock(0ms).is_held() ? 0 : 1;
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("/proc tells this process from others") {
    const process::Status self = process::status_of(process::self().pid);
    CHECK(self.readable);
    CHECK(self.pid == static_cast<std::uint32_t>(::getpid()));
    CHECK(self.start_ticks == process::self().start_ticks);
    CHECK(self.threads >= 1);
    CHECK_FALSE(self.is_exiting());
    CHECK(process::status_of(0x7FFFFFF0).gone);
}

TEST_CASE("a segment is mapped once however often it is opened") {
    const ScopedDirectory directory;
    Mapping* first = open(directory);
    CHECK(open(directory) == first);
    CHECK(open(directory)->participant() == first->participant());
    Options other = small_options(directory.path(), "other");
    CHECK(Mapping::open(other, nullptr) != first);
    CHECK(first->ready());
}

TEST_CASE("a cache that is absent is made only by who may") {
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    options.create = false;
    CHECK(refused_at([&] { Mapping::open(options, nullptr); }) == "attach");
    CHECK_THROWS_WITH(Mapping::open(options, nullptr), Catch::Contains("no cache test in " + directory.path()));
    CHECK(std::filesystem::is_empty(directory.path()));
    Mapping* made = open(directory);
    CHECK(Mapping::open(options, nullptr) == made);
}

TEST_CASE("makers that race end in one segment") {
    for (int round = 0; round < 5; ++round) {
        const ScopedDirectory directory;
        std::vector<ChildProcess> children;
        for (int i = 0; i < 4; ++i) {
            children.push_back(ChildProcess::start([&](Channel& parent) {
                if (parent.hear() != 'g') return 1;
                const std::uint64_t incarnation = open(directory)->view().header().incarnation;
                parent.tell_bytes(&incarnation, sizeof incarnation);
                parent.hear();
                return 0;
            }));
        }
        for (ChildProcess& child : children) child.tell('g');
        std::uint64_t first = 0;
        for (ChildProcess& child : children) {
            std::uint64_t incarnation = 0;
            REQUIRE(child.channel().hear_bytes(&incarnation, sizeof incarnation));
            if (first == 0) first = incarnation;
            CHECK(incarnation == first);
        }
        for (ChildProcess& child : children) child.tell('e');
        for (ChildProcess& child : children) CHECK(child.wait().exited_with(0));
    }
}

TEST_CASE("a process killed anywhere while it opens is in nobody's way") {
    std::vector<testing::SeenCrashPoint> points;
    {
        const ScopedDirectory directory;
        testing::record_crash_points();
        open(directory)->thread_block();
        points = testing::crash_points_seen();
    }
    REQUIRE(points.size() >= 8);
    for (const testing::SeenCrashPoint& point : points) {
        for (std::uint64_t time = 1; time <= point.times; ++time) {
            const ScopedDirectory directory;
            auto child = ChildProcess::start([&](Channel&) {
                testing::arm_crash(point.name, time);
                open(directory)->thread_block();
                return 0;
            });
            INFO(point.name << " " << time);
            REQUIRE(child.wait().was_killed_by(SIGKILL));
            Mapping* mapping = open(directory);
            CHECK(mapping->thread_block() != nullptr);
            CHECK(mapping->participant() == 0);
        }
    }
}

TEST_CASE("whatever system call fails, opening succeeds or throws OpenError, and succeeds the next time") {
    using system::Call;
    for (std::size_t call = 0; call < system::kCalls; ++call) {
        for (std::uint64_t n = 1; n < 30; ++n) {
            const ScopedDirectory directory;
            system::fail_nth(static_cast<Call>(call), n, EIO);
            bool failed = false;
            try {
                open(directory);
            } catch (const OpenError& error) {
                failed = true;
                CHECK_FALSE(error.reason.empty());
                CHECK_FALSE(error.remedy.empty());
            }
            const bool reached = system::calls_made(static_cast<Call>(call)) >= n;
            system::fail_nothing();
            INFO("call " << call << " number " << n);
            CHECK(open(directory)->ready());
            if (!failed && !reached) break;
        }
    }
}

TEST_CASE("a forked child registers itself, its parent stays as it was", "[R14]") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    ThreadBlock* block = mapping->thread_block();
    REQUIRE(block != nullptr);
    block->cells[0] = 77;
    const std::uint32_t slot = mapping->participant();
    auto child = ChildProcess::start([&](Channel&) {
        ThreadBlock* own = mapping->thread_block();
        if (own == nullptr || own == block || own->cells[0] != 0) return 1;
        if (!mapping->ready() || mapping->participant() == slot) return 2;
        if (mapping->registry().dead_for_pins(slot)) return 3;
        return open(directory) == mapping && mapping->thread_block() == own ? 0 : 4;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(mapping->participant() == slot);
    CHECK(mapping->thread_block() == block);
    CHECK(block->cells[0] == 77);
    block->cells[0] = 0;
}

TEST_CASE("a child whose registration fails only misses, and tries again later") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    auto child = ChildProcess::start([&](Channel&) {
        system::fail_nth(system::Call::read_file, 1, EMFILE);
        if (mapping->ready() || mapping->thread_block() != nullptr) return 1;
        const std::uint64_t calls = system::calls_made(system::Call::read_file);
        if (mapping->ready() || system::calls_made(system::Call::read_file) != calls) return 2;  // not at once
        const std::int64_t until_ns = system::monotonic_ns() + 20'000'000'000;
        while (!mapping->ready())
            if (system::monotonic_ns() > until_ns) return 3;
        return mapping->thread_block() != nullptr ? 0 : 4;
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("a child of another user is not let in", "[R13]") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    if (::geteuid() != 0) {
        WARN(test::kNeedsRoot);
        return;
    }
    auto child = ChildProcess::start([&](Channel&) {
        if (::setuid(12345) != 0) return 1;
        return !mapping->ready() && mapping->thread_block() == nullptr ? 0 : 2;
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("a child in another PID namespace is not let in") {
    const ScopedDirectory directory, own;
    Mapping* mapping = open(directory);
    auto outer = ChildProcess::start([&](Channel&) {
        if (::unshare(CLONE_NEWPID) != 0) return 77;
        auto inner = ChildProcess::start([&](Channel&) {
            if (mapping->ready() || mapping->thread_block() != nullptr) return 1;
            if (refused_at([&] { open(own); }) != "namespace") return 2;  // its /proc shows other numbers
            return refused_at([&] { open(directory); }) == "namespace" ? 0 : 3;
        });
        return inner.wait().exited_with(0) ? 0 : 3;
    });
    const test::Ending ending = outer.wait();
    if (ending.exited_with(77)) {
        WARN(test::kNeedsRoot);
        return;
    }
    CHECK(ending.exited_with(0));
}

TEST_CASE("sixteen threads of a process have blocks, the seventeenth none until one exits") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    std::vector<ThreadBlock*> blocks;
    Holders holders;
    for (std::uint32_t i = 0; i < kThreadBlocks; ++i) blocks.push_back(holders.add(mapping));
    std::sort(blocks.begin(), blocks.end());
    CHECK(blocks.front() != nullptr);
    CHECK(std::unique(blocks.begin(), blocks.end()) == blocks.end());
    CHECK(mapping->view().process(mapping->participant()).blocks_high == kThreadBlocks);
    CHECK(mapping->thread_block() == nullptr);
    blocks.front()->cells[1] = 77;
    holders.end();
    ThreadBlock* mine = nullptr;
    for (int calls = 0; calls < 1000 && mine == nullptr; ++calls) mine = mapping->thread_block();
    CHECK(mine == blocks.front());
    CHECK(mine->cells[1] == 77);  // the handle outlives the thread that made it
    mine->cells[1] = 0;
}

TEST_CASE("a thread keeps its block in each of several caches") {
    const ScopedDirectory directory;
    Mapping* one = open(directory);
    Mapping* two = Mapping::open(small_options(directory.path(), "two"), nullptr);
    ThreadBlock* first = one->thread_block();
    ThreadBlock* second = two->thread_block();
    CHECK(first != second);
    for (int i = 0; i < 3; ++i) {
        CHECK(one->thread_block() == first);
        CHECK(two->thread_block() == second);
    }
}

TEST_CASE("the dead are reaped by the living") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    auto child = ChildProcess::start([&](Channel& parent) {
        mapping->thread_block()->cells[0] = 77;
        parent.tell('p');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'p');
    CHECK(mapping->reap_some(8) == 0);
    CHECK(PinScan(mapping->view(), mapping->registry()).pinned(77));
    child.kill(SIGKILL);
    child.wait();
    CHECK_FALSE(PinScan(mapping->view(), mapping->registry()).pinned(77));
    CHECK(mapping->reap_some(8) == 1);
    CHECK(PinScan(mapping->view(), mapping->registry()).count() == 0);
}

TEST_CASE("a removed or replaced segment is noticed after 50 ms") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    const std::int64_t now_ns = system::coarse_ns();
    CHECK_FALSE(mapping->replaced(now_ns));
    REQUIRE(std::filesystem::remove(mapping->location().segment_path()));
    CHECK_FALSE(mapping->replaced(now_ns + 49'000'000));
    CHECK(mapping->replaced(now_ns + 51'000'000));
    CHECK(mapping->replaced(now_ns + 52'000'000));
}

TEST_CASE("who opens a replaced cache gets the new one, and the old one knows") {
    const ScopedDirectory directory;
    Mapping* old = open(directory);
    const std::int64_t now_ns = system::coarse_ns();
    CHECK_FALSE(old->replaced(now_ns));
    CHECK(remove_cache(old->location()));
    CHECK(is_closed_for_good(old->view()));
    Mapping* next = open(directory);
    CHECK(next != old);
    CHECK(next->view().header().incarnation != old->view().header().incarnation);
    CHECK(next->participant() == old->participant());
    CHECK(old->replaced(now_ns));
    CHECK_FALSE(next->replaced(now_ns));
    CHECK(old->view().header().magic == kMagic);  // still mapped
}

TEST_CASE("a new segment opens late while others may announce to an old one") {
    const ScopedDirectory directory;
    auto child = ChildProcess::start([&](Channel& parent) {
        const std::int64_t open_at_ns = open(directory)->view().header().open_at_ns;
        parent.tell(open_at_ns == 0 ? 'o' : 'x');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'o');
    REQUIRE(std::filesystem::remove(directory.file("test.seg")));
    const std::int64_t before_ns = system::monotonic_ns();
    const std::int64_t open_at_ns = open(directory)->view().header().open_at_ns;
    CHECK(open_at_ns >= before_ns + 250'000'000);
    CHECK(open_at_ns <= system::monotonic_ns() + 250'000'000);
}

TEST_CASE("a new segment opens late also where another was made and removed while /proc was read") {
    const ScopedDirectory directory;
    auto child = ChildProcess::start([&](Channel& parent) {
        parent.hear();
        open(directory);
        parent.tell('o');
        parent.hear();
        return 0;
    });
    testing::call_at_crash_point("mapping.proc_read", 1, [&] {
        child.tell('g');
        child.hear();
        std::filesystem::remove(directory.file("test.seg"));
    });
    const std::int64_t before_ns = system::monotonic_ns();
    CHECK(open(directory)->view().header().open_at_ns >= before_ns + 250'000'000);
    testing::disarm_crash();
}

TEST_CASE("a segment left from before the last boot, or half removed, is replaced") {
    const ScopedDirectory directory;
    const bool closed = GENERATE(false, true);
    std::uint64_t incarnation = 0;
    {
        const auto left = Segment::create(test::location_of(directory), small_options("unused"), nullptr, nullptr);
        incarnation = left->view().header().incarnation;
        closed ? close_for_good(left->view()) : void(left->view().header().boot_id[0] ^= 1);
    }
    Options options = small_options(directory.path());
    options.create = false;
    CHECK(refused_at([&] { Mapping::open(options, nullptr); }) == "attach");
    CHECK(open(directory)->view().header().incarnation != incarnation);
}

TEST_CASE("a mapped segment that somebody closed but did not remove is replaced") {
    const ScopedDirectory directory;
    Mapping* old = open(directory);
    close_for_good(old->view());
    CHECK(old->replaced(system::coarse_ns()));
    Mapping* next = open(directory);
    CHECK(next != old);
    CHECK_FALSE(is_closed_for_good(next->view()));
}

TEST_CASE("one cache serves one database") {
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    Mapping* mapping = Mapping::open(options, nullptr);
    options.identity = "a.db";
    CHECK(Mapping::open(options, nullptr) == mapping);
    options.identity = "b.db";
    CHECK(refused_at([&] { Mapping::open(options, nullptr); }) == "identity");
    auto child = ChildProcess::start(
        [&](Channel&) { return refused_at([&] { Mapping::open(options, nullptr); }) == "identity" ? 0 : 1; });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("a claimer of the identity that is killed half-way does not block an opening") {
    const ScopedDirectory directory;
    Mapping* mapping = open(directory);
    Options options = small_options(directory.path());
    options.identity = "a.db";
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash("identity.claimed");
        Mapping::open(options, nullptr);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    options.identity = "b.db";
    CHECK(Mapping::open(options, nullptr) == mapping);
}

TEST_CASE("a cache in memory is its maker's alone") {
    Options options = small_options("");
    options.in_memory = true;
    Mapping* mapping = Mapping::open(options, nullptr);
    CHECK(Mapping::open(options, nullptr) != mapping);
    CHECK(mapping->is_in_memory());
    CHECK(mapping->ready());
    CHECK(mapping->participant() == 0);
    CHECK(mapping->thread_block() != nullptr);
    CHECK_FALSE(mapping->replaced(system::coarse_ns() + 1'000'000'000));
    CHECK(mapping->reap_some(8) == 0);
    auto child = ChildProcess::start(
        [&](Channel&) { return !mapping->ready(1s) && mapping->thread_block() == nullptr ? 0 : 1; });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("threads that open at once share one mapping", "[tsan]") {
    const ScopedDirectory directory;
    std::vector<Mapping*> opened(4);
    std::vector<ThreadBlock*> blocks(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < opened.size(); ++i) {
        threads.emplace_back([&, i] {
            opened[i] = open(directory);
            blocks[i] = opened[i]->thread_block();
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < opened.size(); ++i) {
        CHECK(opened[i] == opened[0]);
        CHECK(blocks[i] != nullptr);
    }
}
