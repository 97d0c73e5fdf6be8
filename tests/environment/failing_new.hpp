// The program's operator new, of which a test makes the n-th call fail.
#pragma once

#include <cstdint>

namespace larder::test {

/// While it lives, the n-th allocation of this thread (1: the next) fails; every later one too if `sticky`. One at a
/// time. What the C library allocates for itself does not count.
class FailingNew {
public:
    FailingNew(std::uint64_t n, bool sticky);
    FailingNew(const FailingNew&) = delete;
    FailingNew& operator=(const FailingNew&) = delete;
    ~FailingNew();
    /// Allocations since it was made.
    std::uint64_t asked() const;
};

}  // namespace larder::test
