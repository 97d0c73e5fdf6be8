#include "shm/robust_mutex.hpp"

#include <errno.h>
#include <linux/futex.h>

#include <cassert>

#include "shm/process.hpp"
#include "shm/system.hpp"
#include "shm/thread_sanitizer.hpp"

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

/// What says how glibc treats a mutex. With another one it does other things than are meant, up to ending the process.
int kind_of(const pthread_mutex_t& mutex) { return __atomic_load_n(&mutex.__data.__kind, __ATOMIC_RELAXED); }

int robust_kind() {
    static const int kind = [] {
        pthread_mutex_t fresh;
        initialise(fresh);
        return kind_of(fresh);
    }();
    return kind;
}

}  // namespace

bool is_sound(const pthread_mutex_t& mutex) { return kind_of(mutex) == robust_kind(); }

bool is_held_by_nobody(const pthread_mutex_t& mutex) {
    const auto word = static_cast<std::uint32_t>(__atomic_load_n(&mutex.__data.__lock, __ATOMIC_RELAXED));
    const std::uint32_t owner = word & FUTEX_TID_MASK;
    return owner != 0 && (word & FUTEX_OWNER_DIED) == 0 && process::status_of(owner).gone;
}

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
    const bool is_own = kind_of(mutex) == PTHREAD_MUTEX_NORMAL;  // of this process alone
    if (!is_own && !is_sound(mutex)) return Acquired::unrecoverable;
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
