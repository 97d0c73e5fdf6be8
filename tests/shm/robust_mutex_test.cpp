#include "shm/robust_mutex.hpp"

#include <signal.h>

#include <catch2/catch.hpp>
#include <thread>

#include "shm/system.hpp"
#include "tests/support/child_process.hpp"

using namespace larder;
using namespace larder::shm;
using namespace std::chrono_literals;
using robust_mutex::Acquired;
using test::Channel;
using test::ChildProcess;

namespace {

/// A mutex in memory that forked children share.
class SharedMutex {
public:
    SharedMutex() : base_(system::map_shared(-1, kPageBytes, true).base) { robust_mutex::initialise(mutex()); }
    ~SharedMutex() { system::unmap(base_, kPageBytes); }
    pthread_mutex_t& mutex() { return *reinterpret_cast<pthread_mutex_t*>(base_); }

private:
    std::byte* base_;
};

ChildProcess holder_of(SharedMutex& shared) {
    auto child = ChildProcess::start([&](Channel& parent) {
        if (robust_mutex::acquire(shared.mutex(), 1s) != Acquired::locked) return 1;
        parent.tell('l');
        parent.hear();
        robust_mutex::release(shared.mutex());
        return 0;
    });
    REQUIRE(child.hear() == 'l');
    return child;
}

}  // namespace

TEST_CASE("a lock of another kind than was made is nobody's") {
    SharedMutex shared;
    CHECK(robust_mutex::is_sound(shared.mutex()));
    shared.mutex().__data.__kind ^= GENERATE(1, 64, 256);  // priority protection ends a process that takes such a lock
    CHECK_FALSE(robust_mutex::is_sound(shared.mutex()));
    CHECK(robust_mutex::acquire(shared.mutex(), 1ms) == Acquired::unrecoverable);
}

TEST_CASE("a lock whose owner does not exist is told from a held one", "[fork]") {
    SharedMutex shared;
    CHECK_FALSE(robust_mutex::is_held_by_nobody(shared.mutex()));
    auto holder = holder_of(shared);
    CHECK_FALSE(robust_mutex::is_held_by_nobody(shared.mutex()));
    holder.kill(SIGKILL);
    holder.wait();
    CHECK_FALSE(robust_mutex::is_held_by_nobody(shared.mutex()));  // the kernel has said so
    shared.mutex().__data.__lock = 0x3FFFFFF0;
    CHECK(robust_mutex::is_held_by_nobody(shared.mutex()));
}

TEST_CASE("a free lock is had at once, a held one not", "[tsan]") {
    SharedMutex shared;
    REQUIRE(robust_mutex::acquire(shared.mutex(), 0ns) == Acquired::locked);
    std::thread other([&] {
        CHECK(robust_mutex::acquire(shared.mutex(), 0ns) == Acquired::timed_out);
        CHECK(robust_mutex::acquire(shared.mutex(), 1ms) == Acquired::timed_out);
    });
    other.join();
    robust_mutex::release(shared.mutex());
    CHECK(robust_mutex::acquire(shared.mutex(), 0ns) == Acquired::locked);
    robust_mutex::release(shared.mutex());
}

TEST_CASE("a lock excludes", "[tsan]") {
    SharedMutex shared;
    std::uint64_t counter = 0;
    const auto work = [&] {
        for (int i = 0; i < 5000; ++i) {
            if (!robust_mutex::is_held(robust_mutex::acquire(shared.mutex(), 10s))) return;
            ++counter;
            robust_mutex::release(shared.mutex());
        }
    };
    std::thread one(work), two(work);
    one.join();
    two.join();
    CHECK(counter == 10'000);
}

TEST_CASE("a thread that waits for itself is told after its budget", "[R5]") {
    SharedMutex shared;
    REQUIRE(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::locked);
    CHECK(robust_mutex::acquire(shared.mutex(), 2ms) == Acquired::timed_out);
    robust_mutex::release(shared.mutex());
}

TEST_CASE("a waiter gets the lock when its holder lets it go") {
    SharedMutex shared;
    auto holder = holder_of(shared);
    CHECK(robust_mutex::acquire(shared.mutex(), 2ms) == Acquired::timed_out);
    auto waiter = ChildProcess::start([&](Channel& parent) {
        parent.tell('w');
        return robust_mutex::acquire(shared.mutex(), 15s) == Acquired::locked ? 0 : 1;
    });
    REQUIRE(waiter.hear() == 'w');
    holder.tell('g');
    CHECK(holder.wait().exited_with(0));
    CHECK(waiter.wait().exited_with(0));
}

TEST_CASE("a dead holder's lock goes on to the next, who is told") {
    SharedMutex shared;
    auto holder = holder_of(shared);
    holder.kill(SIGKILL);
    REQUIRE(holder.wait().was_killed_by(SIGKILL));
    REQUIRE(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::owner_died);
    robust_mutex::mark_consistent(shared.mutex());
    robust_mutex::release(shared.mutex());
    CHECK(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::locked);
    robust_mutex::release(shared.mutex());
}

TEST_CASE("a waiter is woken by its holder's death") {
    SharedMutex shared;
    auto holder = holder_of(shared);
    auto waiter = ChildProcess::start([&](Channel& parent) {
        parent.tell('w');
        return robust_mutex::acquire(shared.mutex(), 15s) == Acquired::owner_died ? 0 : 1;
    });
    REQUIRE(waiter.hear() == 'w');
    holder.kill(SIGKILL);
    CHECK(waiter.wait().exited_with(0));
}

TEST_CASE("death upon death is told each time") {
    SharedMutex shared;
    for (int time = 0; time < 3; ++time) {
        auto child = ChildProcess::start([&](Channel&) {
            const Acquired expected = time == 0 ? Acquired::locked : Acquired::owner_died;
            if (robust_mutex::acquire(shared.mutex(), 1s) != expected) return 1;
            ::raise(SIGKILL);
            return 2;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
    }
    CHECK(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::owner_died);
    robust_mutex::mark_consistent(shared.mutex());
    robust_mutex::release(shared.mutex());
}

TEST_CASE("a stopped holder costs its waiters their budget, no more", "[R5]") {
    SharedMutex shared;
    auto holder = holder_of(shared);
    holder.kill(SIGSTOP);
    REQUIRE(holder.wait_for_stop());
    CHECK(robust_mutex::acquire(shared.mutex(), 5ms) == Acquired::timed_out);
    holder.kill(SIGCONT);
    holder.tell('g');
    CHECK(holder.wait().exited_with(0));
    CHECK(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::locked);
    robust_mutex::release(shared.mutex());
}

TEST_CASE("a lock that was let go inconsistent is lost, and says so") {
    SharedMutex shared;
    auto holder = holder_of(shared);
    holder.kill(SIGKILL);
    REQUIRE(holder.wait().was_killed_by(SIGKILL));
    REQUIRE(robust_mutex::acquire(shared.mutex(), 1s) == Acquired::owner_died);
    robust_mutex::release(shared.mutex());
    CHECK(robust_mutex::acquire(shared.mutex(), 1ms) == Acquired::unrecoverable);
    CHECK_FALSE(robust_mutex::is_held(Acquired::unrecoverable));
}
