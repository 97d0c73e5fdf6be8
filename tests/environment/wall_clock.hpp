// The wall clock as this program sees it: a test steps it, as an administrator or a time server does. Whoever asks the
// C library (std::chrono does) is answered so, in this process and in its forked children.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace larder::test {

class WallClock {
public:
    /// From now on it shows so much more, or less, than before.
    static void step(std::chrono::nanoseconds by) { offset_ns_.fetch_add(by.count()); }
    static std::int64_t offset_ns() { return offset_ns_.load(); }
    /// How often it was asked since the program began.
    static std::uint64_t questions() { return questions_.load(); }
    static void count_question() { questions_.fetch_add(1); }

private:
    static inline std::atomic<std::int64_t> offset_ns_{0};
    static inline std::atomic<std::uint64_t> questions_{0};
};

}  // namespace larder::test
