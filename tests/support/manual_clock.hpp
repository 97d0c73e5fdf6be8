// A clock that stands still until a test moves it. Its word is shared with forked children: all processes see one time.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <stdexcept>

#include "shm/cache.hpp"

namespace larder::test {

class ManualClock final : public Clock {
public:
    /// Starts in the middle of the third hour of the monotonic clock, far from any other hour's beginning.
    static constexpr std::int64_t kStartNs = (2 * 3600 + 1800) * std::int64_t{1'000'000'000};

    explicit ManualClock(std::int64_t start_ns = kStartNs) {
        memory_ = ::mmap(nullptr, sizeof(Word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) throw std::runtime_error("mmap");
        now_ = new (memory_) Word(start_ns);
    }
    ManualClock(const ManualClock&) = delete;
    ManualClock& operator=(const ManualClock&) = delete;
    ~ManualClock() override { ::munmap(memory_, sizeof(Word)); }

    std::int64_t now_ns() override { return now_->load(std::memory_order_acquire); }
    void advance(std::chrono::nanoseconds by) { now_->fetch_add(by.count(), std::memory_order_acq_rel); }
    void set_ns(std::int64_t now_ns) { now_->store(now_ns, std::memory_order_release); }

private:
    using Word = std::atomic<std::int64_t>;
    void* memory_ = nullptr;
    Word* now_ = nullptr;
};

}  // namespace larder::test
