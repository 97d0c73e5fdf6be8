#include "shm/testing.hpp"

#ifdef LARDER_TESTING

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <utility>

namespace larder::shm::testing {
namespace {

struct Armed {
    std::string name;
    std::uint64_t left = 0;  // 0: none
    Death death = Death::kill;
    std::function<void()> action;
};

/// What LARDER_CRASH="name:3" says.
Armed armed_by_environment() {
    const char* text = ::getenv("LARDER_CRASH");
    if (text == nullptr) return {};
    const std::string_view all = text;
    const std::size_t colon = all.rfind(':');
    std::uint64_t count = 1;
    if (colon != std::string_view::npos) std::from_chars(text + colon + 1, text + all.size(), count);
    return {std::string(all.substr(0, colon)), count, Death::kill, {}};
}

struct State {
    std::mutex mutex;
    Armed armed = armed_by_environment();
    bool records = false;
    std::vector<SeenCrashPoint> seen;
};

State& state() {
    static State& one = *new State;  // outlives all threads
    return one;
}

/// Something is armed or recorded, or nobody looked yet: without it a crash point costs one load.
std::atomic<bool> watched{true};

void arm(Armed armed) {
    State& all = state();
    const std::scoped_lock lock(all.mutex);
    all.armed = std::move(armed);
    watched = all.armed.left != 0 || all.records;
}

void die(Death death) { ::kill(::getpid(), death == Death::kill ? SIGKILL : SIGSTOP); }

void remember(std::vector<SeenCrashPoint>& seen, std::string_view name) {
    for (SeenCrashPoint& one : seen) {
        if (one.name == name) {
            ++one.times;
            return;
        }
    }
    seen.push_back({std::string(name), 1});
}

void reach(const char* name) {
    std::function<void()> action;
    bool dies = false;
    Death death = Death::kill;
    {
        State& all = state();
        const std::scoped_lock lock(all.mutex);
        if (all.records) remember(all.seen, name);
        watched = all.armed.left != 0 || all.records;
        if (all.armed.left == 0 || all.armed.name != name || --all.armed.left != 0) return;
        action = std::move(all.armed.action);
        all.armed.action = nullptr;
        death = all.armed.death;
        dies = !action;
    }
    if (dies) die(death);
    if (action) action();
}

std::atomic<std::uint64_t> allocations{0};         // asked for since fail_allocation
std::atomic<std::uint64_t> failing_allocation{0};  // its number, 0: none
std::atomic<bool> allocation_sticky{false};

}  // namespace

void arm_crash(std::string_view name, std::uint64_t count, Death death) { arm({std::string(name), count, death, {}}); }

void call_at_crash_point(std::string_view name, std::uint64_t count, std::function<void()> action) {
    arm({std::string(name), count, Death::kill, std::move(action)});
}

void disarm_crash() { arm({}); }

void record_crash_points() {
    State& all = state();
    const std::scoped_lock lock(all.mutex);
    all.records = true;
    all.seen.clear();
    watched = true;
}

std::vector<SeenCrashPoint> crash_points_seen() {
    State& all = state();
    const std::scoped_lock lock(all.mutex);
    return all.seen;
}

void reach_crash_point(const char* name) {
    if (watched.load(std::memory_order_relaxed)) reach(name);
}

void fail_allocation(std::uint64_t n, bool sticky) {
    failing_allocation = 0;
    allocation_sticky = sticky;
    allocations = 0;
    failing_allocation = n;
}

bool allocation_fails() {
    const std::uint64_t number = allocations.fetch_add(1) + 1;
    const std::uint64_t at = failing_allocation;
    return at != 0 && (number == at || (allocation_sticky && number > at));
}

std::uint64_t allocations_asked() { return allocations; }

}  // namespace larder::shm::testing

#endif
