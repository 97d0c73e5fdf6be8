// A second look: what changes by itself is looked at again before it is believed to be wrong.
#pragma once

#include <chrono>
#include <thread>

namespace larder {

/// Looks until `is_so()` holds, for two seconds at most: so long a link may be behind without being broken. False: it
/// did not come about.
template <class Condition>
bool comes_about(const Condition& is_so) {
    constexpr std::chrono::seconds longest{2};
    constexpr std::chrono::milliseconds interval{50};
    const auto until = std::chrono::steady_clock::now() + longest;
    while (!is_so()) {
        if (std::chrono::steady_clock::now() >= until) return false;
        std::this_thread::sleep_for(interval);
    }
    return true;
}

}  // namespace larder
