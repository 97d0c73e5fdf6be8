// This process, as far as a fork matters: its generation and its process-local lock, on a page that the kernel zeroes
// in every child (MADV_WIPEONFORK), whatever call made the child.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace larder::shm::process {

namespace detail {
struct Page {
    std::atomic<std::uint64_t> generation;  // 0: wiped, or not made yet
    pthread_mutex_t mutex;                  // zero is a free one
};
extern Page unmapped_page;  // stands in until the first use, all zero
inline constinit std::atomic<Page*> page{&unmapped_page};
std::uint64_t begin_generation();
}  // namespace detail

/// Never 0; another one in each forked child than in its ancestors. What was made in another generation is not this
/// process's.
inline std::uint64_t generation() {
    const std::uint64_t now = detail::page.load(std::memory_order_acquire)->generation.load(std::memory_order_relaxed);
    if (now == 0) [[unlikely]]
        return detail::begin_generation();
    return now;
}

/// The word that generation() reads; stays where it is once that was called.
inline const std::atomic<std::uint64_t>& generation_word() {
    return detail::page.load(std::memory_order_acquire)->generation;
}

/// Guards what a process does once: opening, registering, reaping. Free in a forked child, whoever held it in the
/// parent.
class Lock {
public:
    /// A budget of 0 only tries. Never recursive.
    explicit Lock(std::chrono::milliseconds budget);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    bool is_held() const { return generation_ != 0; }

private:
    std::uint64_t generation_ = 0;  // in which it was taken
};

/// What /proc says of a process.
struct Status {
    bool readable = false;  // false and not `gone`: nobody knows
    bool gone = false;
    char state = '?';
    std::uint32_t pid = 0;
    std::uint32_t flags = 0;
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0;

    bool is_zombie_without_threads() const { return readable && (state == 'Z' || state == 'X') && threads <= 1; }
    /// EXITING, POSTCOREDUMP or DUMPCORE.
    bool is_exiting() const { return readable && (flags & (0x4u | 0x8u | 0x200u)) != 0; }
};
Status status_of(std::uint32_t pid);
/// This process has a file mapped that had this path and was removed (so may another copy of the library in it); or,
/// with `anybody`, some process has that may be looked at: reads all of /proc. True too with no file left to look with.
bool maps_deleted(const std::string& path, bool anybody);
/// What of this process's status never changes; all 0 while /proc cannot be read.
struct Self {
    std::uint32_t pid = 0;  ///< the number that /proc uses for it
    std::uint64_t start_ticks = 0;
};
/// Read once in each generation.
Self self();

}  // namespace larder::shm::process
