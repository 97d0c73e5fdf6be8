// Waiting for what another process will do, without knowing when.
#pragma once

#include <poll.h>

#include <chrono>

namespace larder::test {

/// R1: who finishes nothing for so long is blocked.
inline constexpr std::chrono::seconds kHang{10};

/// Asks again and again; false: it did not come true within `patience`.
template <class Condition>
bool eventually(Condition&& condition, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

}  // namespace larder::test
