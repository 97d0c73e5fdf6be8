// Crash points and failing allocations, for tests. Without LARDER_TESTING all of it is nothing.
//
// A crash point stands behind a store that others see. A test arms one by name and count, in a forked child or through
// the environment (LARDER_CRASH="name:3": at the third time), and the process dies there as by `kill -9`.
#pragma once

#ifdef LARDER_TESTING

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#define LARDER_CRASH_POINT(name) ::larder::shm::testing::reach_crash_point(name)

namespace larder::shm::testing {

enum class Death : std::uint8_t {
    kill,  // SIGKILL
    stop,  // SIGSTOP; goes on at SIGCONT
};

/// The count-th time (1: the next) that a thread of this process reaches `name`, the process dies. One is armed at a
/// time.
void arm_crash(std::string_view name, std::uint64_t count = 1, Death death = Death::kill);
/// Instead of dying it calls `action` there, once, in the thread that got there.
void call_at_crash_point(std::string_view name, std::uint64_t count, std::function<void()> action);
void disarm_crash();

/// From now on every crash point reached is remembered; forgets what was.
void record_crash_points();
struct SeenCrashPoint {
    std::string name;
    std::uint64_t times = 0;
};
/// In order of their first time.
std::vector<SeenCrashPoint> crash_points_seen();

void reach_crash_point(const char* name);

/// The n-th arena allocation from now on (1: the next) fails; every later one too if `sticky`. n == 0 ends it.
void fail_allocation(std::uint64_t n, bool sticky = false);
/// Asked by each allocation in an arena.
bool allocation_fails();
/// How often that was, by all threads of this process, since fail_allocation.
std::uint64_t allocations_asked();

}  // namespace larder::shm::testing

#else

#define LARDER_CRASH_POINT(name) static_cast<void>(0)

namespace larder::shm::testing {
constexpr bool allocation_fails() { return false; }
}  // namespace larder::shm::testing

#endif
