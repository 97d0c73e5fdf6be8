// The C library's clocks, taken over: the program's own definitions come before the library's.
#include "tests/environment/wall_clock.hpp"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

using larder::test::WallClock;

namespace {

bool is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

timespec wall_time() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
    if (result != 0 || !is_wall(clock)) return result;
    constexpr std::int64_t kSecond = 1'000'000'000;
    WallClock::count_question();
    const std::int64_t ns = now->tv_sec * kSecond + now->tv_nsec + WallClock::offset_ns();
    *now = {ns / kSecond, ns % kSecond};
    return 0;
}

time_t time(time_t* into) noexcept {
    const time_t now = wall_time().tv_sec;
    if (into != nullptr) *into = now;
    return now;
}

int gettimeofday(timeval* into, void*) noexcept {
    const timespec now = wall_time();
    *into = {now.tv_sec, now.tv_nsec / 1'000};
    return 0;
}

}  // extern "C"
