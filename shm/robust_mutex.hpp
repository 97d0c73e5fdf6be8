// The locks of the segment: raw pthread mutexes, process-shared, robust, NORMAL. Never waited for without a budget.
//
// A holder that dies hands the lock on with `owner_died`: the new holder repairs what it guards (or finds that nothing
// was half done), then calls mark_consistent, then release. Released without it, the mutex would be lost for good.
#pragma once

#include <pthread.h>

#include <chrono>
#include <cstdint>

namespace larder::shm::robust_mutex {

enum class Acquired : std::uint8_t {
    locked,
    owner_died,     ///< held by the caller; mark_consistent before release
    timed_out,      ///< not held
    unrecoverable,  ///< not held, and nobody will ever hold it again: somebody released it inconsistent
};

inline bool is_held(Acquired acquired) { return acquired == Acquired::locked || acquired == Acquired::owner_died; }

/// REQUIRES: zeroed memory that no other process knows yet.
void initialise(pthread_mutex_t& mutex);
/// It is of the kind that `initialise` makes.
bool is_sound(const pthread_mutex_t& mutex);
/// Its owner is a thread that the host does not have (and did not die with it, which the kernel would have marked).
bool is_held_by_nobody(const pthread_mutex_t& mutex);

/// Tries, spins for about 10 us, then sleeps until the budget is spent. A budget of 0 only tries.
Acquired acquire(pthread_mutex_t& mutex, std::chrono::nanoseconds budget);

/// REQUIRES: held after owner_died.
void mark_consistent(pthread_mutex_t& mutex);

/// REQUIRES: held by this thread, and consistent.
void release(pthread_mutex_t& mutex);

}  // namespace larder::shm::robust_mutex
