// A parent of four threads that all use the cache, and forks hundreds of children that use it too.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <thread>
#include <vector>

#include "shm/inspector.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"
#include "tests/support/world_of_changes.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr int kThreads = 4, kChildren = 400;
constexpr std::size_t kAtOnce = 8;

Options options_of_storm() {
    Options options;
    options.shards = 8;
    options.lock_budget = std::chrono::seconds(2);
    return options;
}

/// Threads that use the cache until the end.
class Users {
public:
    Users(Cache& cache, WorldOfChanges& world) {
        for (int n = 0; n < kThreads; ++n) {
            threads_.emplace_back([this, &cache, &world, n] {
                for (std::uint64_t round = 0; !ended_; ++round) {
                    world.live(cache, 1'000 * static_cast<std::uint64_t>(n) + round, 200);
                    rounds_.at(static_cast<std::size_t>(n)) += 1;
                }
            });
        }
    }
    Users(const Users&) = delete;
    ~Users() { end(); }
    void end() {
        ended_ = true;
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }
    /// Every thread has come round since.
    bool all_go_on() {
        const auto before = [this] {
            std::array<std::uint64_t, kThreads> copy{};
            std::copy(rounds_.begin(), rounds_.end(), copy.begin());
            return copy;
        }();
        return eventually([&] {
            for (std::size_t n = 0; n < kThreads; ++n)
                if (rounds_.at(n) == before.at(n)) return false;
            return true;
        });
    }

private:
    std::atomic<bool> ended_{false};
    std::array<std::atomic<std::uint64_t>, kThreads> rounds_{};
    std::vector<std::thread> threads_;
};

struct Child {
    pid_t pid = 0;
    bool is_killed = false;
};

/// A child that uses the cache and exits with 0, or goes on until it is killed.
Child fork_one(Cache& cache, WorldOfChanges& world, int n) {
    const bool is_killed = n % 3 == 0;
    const pid_t pid = fork_to([&] {
        Cache mine = Cache::open({.name = "none", .in_memory = true, .size_bytes = 16 << 20});  // beside the inherited
        if (mine.put("k", "v") != PutResult::stored) return 3;
        const int wrong = world.live(cache, 100'000 + static_cast<std::uint64_t>(n), is_killed ? 10'000'000 : 60);
        return wrong != 0 ? 2 : 0;
    });
    return {pid, is_killed};
}

void end_one(const Child& child) {
    if (child.is_killed) ::kill(child.pid, SIGKILL);
    require(eventually([&] { return is_dead(child.pid); }), "a child does not end");
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    const bool is_right = child.is_killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                          : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    require(is_right, "a child ended with status " + std::to_string(status));
}

/// Nothing of the dead is left, and all of the cache works.
void check_calm(ScopedCache& scoped) {
    require(eventually([&] {
                scoped.cache.tend();
                return shm::read_processes(scoped.view()).size() == 1;
            }),
            "slots of the dead are kept");
    for (std::uint32_t shard = 0; shard < scoped.view().geometry->shards; ++shard) {
        const std::string key = scoped.key_in(shard, 0);
        require(is_stored(scoped.cache, key, "value"), "a put is refused");
        require(scoped.cache.get(key).value() == "value", "a value is lost");
    }
    for (const shm::ProcessFacts& process : shm::read_processes(scoped.view()))
        require(process.pins.empty(), "a pin is left");
    const auto is_held = [](const shm::LeaseFacts& lease) { return lease.state == shm::LeaseState::held; };
    require(eventually([&] {
                scoped.cache.tend();
                return std::ranges::none_of(shm::read_leases(scoped.view()), is_held);
            }),
            "a lease is left");
    const std::string wrong = first_violation(scoped.view());
    require(wrong.empty(), wrong);
}

}  // namespace

// [no_asan]: its allocator locks are not fork-safe: a child of threads that allocate can hang in its first allocation.
TEST_CASE("A storm of forks from a parent of four threads hurts neither it nor the children",
          "[environment][R14][R15][fork][no_asan]") {
    const Watchdog watchdog(300);
    const StageResult result = play([] {
        ScopedCache scoped(options_of_storm(), 4 << 20);
        WorldOfChanges world;
        Users users(scoped.cache, world);
        std::deque<Child> children;
        for (int n = 0; n < kChildren; ++n) {
            children.push_back(fork_one(scoped.cache, world, n));
            if (children.size() < kAtOnce) continue;
            end_one(children.front());
            children.pop_front();
        }
        for (const Child& child : children) end_one(child);
        require(users.all_go_on(), "a thread of the parent hangs");
        users.end();
        require(world.first_wrong().empty(), world.first_wrong());
        require(scoped.count(shm::Counter::damaged_reads) == 0, "a damaged value was met");
        check_calm(scoped);
    });
    CHECK(result.report == "");
}
