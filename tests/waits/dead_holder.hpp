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
};
/// Eight processes ask for the same few keys, which are invalidated now and then.
CrowdReport crowd(std::int64_t for_ns, std::uint64_t seed);

}  // namespace larder::waits
