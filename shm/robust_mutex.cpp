#include "shm/robust_mutex.hpp"

#include <errno.h>

#include <cassert>

#include "shm/system.hpp"

namespace larder::shm::robust_mutex {
namespace {

constexpr std::int64_t kSpinNs = 10'000;
constexpr int kMostSpins = 1'000;

Acquired outcome(int error) {
    switch (error) {
    case 0:
        return Acquired::locked;
    case EOWNERDEAD:
        return Acquired::owner_died;
    case EBUSY:
    case ETIMEDOUT:
    case EAGAIN:
        return Acquired::timed_out;
    default:
        return Acquired::unrecoverable;
    }
}

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

Acquired spin(pthread_mutex_t& mutex) {
    const std::int64_t until_ns = system::monotonic_ns() + kSpinNs;
    for (int spins = 0; spins < kMostSpins && system::monotonic_ns() < until_ns; ++spins) {
        for (int pause = 0; pause < 4; ++pause) pause_briefly();
        const Acquired acquired = outcome(::pthread_mutex_trylock(&mutex));
        if (acquired != Acquired::timed_out) return acquired;
    }
    return Acquired::timed_out;
}

#if defined(__SANITIZE_THREAD__)
#define LARDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LARDER_THREAD_SANITIZER 1
#endif
#endif

Acquired sleep_until(pthread_mutex_t& mutex, std::int64_t deadline_ns) {
#ifdef LARDER_THREAD_SANITIZER
    while (system::monotonic_ns() < deadline_ns) {  // the sanitizer knows no clocklock and would miss the acquisition
        const Acquired acquired = outcome(::pthread_mutex_trylock(&mutex));
        if (acquired != Acquired::timed_out) return acquired;
        system::sleep_ns(100'000);
    }
    return Acquired::timed_out;
#else
    const timespec deadline{deadline_ns / 1'000'000'000, deadline_ns % 1'000'000'000};
    return outcome(::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline));
#endif
}

}  // namespace

void initialise(pthread_mutex_t& mutex) {
    pthread_mutexattr_t attributes;
    int error = ::pthread_mutexattr_init(&attributes);
    if (error == 0) error = ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_NORMAL);
    if (error == 0) error = ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0) error = ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (error == 0) error = ::pthread_mutex_init(&mutex, &attributes);
    assert(error == 0);
    ::pthread_mutexattr_destroy(&attributes);
}

Acquired acquire(pthread_mutex_t& mutex, std::chrono::nanoseconds budget) {
    Acquired acquired = outcome(::pthread_mutex_trylock(&mutex));
    if (acquired != Acquired::timed_out || budget.count() <= 0) return acquired;
    const std::int64_t deadline_ns = system::monotonic_ns() + budget.count();
    acquired = spin(mutex);
    if (acquired != Acquired::timed_out) return acquired;
    return sleep_until(mutex, deadline_ns);
}

void mark_consistent(pthread_mutex_t& mutex) {
    const int error = ::pthread_mutex_consistent(&mutex);
    assert(error == 0);
    static_cast<void>(error);
}

void release(pthread_mutex_t& mutex) {
    const int error = ::pthread_mutex_unlock(&mutex);
    assert(error == 0);
    static_cast<void>(error);
}

}  // namespace larder::shm::robust_mutex
