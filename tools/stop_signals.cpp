#include "tools/stop_signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cerrno>

namespace larder::tools {
namespace {

sigset_t stop_set() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

}  // namespace

StopSignals::StopSignals() {
    const sigset_t set = stop_set();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool StopSignals::wait(std::chrono::milliseconds limit) {
    const sigset_t set = stop_set();
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!came_) {
        const auto rest =
            std::chrono::duration_cast<std::chrono::nanoseconds>(until - std::chrono::steady_clock::now());
        if (rest.count() <= 0) break;
        const timespec limit_left{static_cast<time_t>(rest.count() / 1'000'000'000), rest.count() % 1'000'000'000};
        if (sigtimedwait(&set, nullptr, &limit_left) > 0)
            came_ = true;
        else if (errno != EINTR && errno != EAGAIN)
            break;
    }
    return came_;
}

}  // namespace larder::tools
