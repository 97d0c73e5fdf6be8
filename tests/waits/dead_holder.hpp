// Computations of one key by many processes: how many at a time, and how soon another takes over from one that died.
#pragma once

#include <cstdint>
#include <vector>

namespace larder::waits {

/// A holder is killed while it computes; the time until its waiter begins to, for each of so many.
std::vector<std::int64_t> kill_holders(std::uint64_t rounds, std::uint64_t seed);

struct CrowdReport {
    std::uint64_t computations = 0, waits = 0;
    std::uint64_t most_at_once = 0;  // computations of one key
    bool competed = false;           // there were the computations, and somebody waited for one
};
/// Eight processes ask for the same few keys, which are invalidated now and then. So long, and up to 10 s more until
/// they have competed: in so many computations at least.
CrowdReport crowd(std::int64_t for_ns, std::uint64_t computations, std::uint64_t seed);

}  // namespace larder::waits
