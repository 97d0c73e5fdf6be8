// Verdicts: what is wrong with a cache as it is used now, in words, and what to do about it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/shortage.hpp"
#include "tools/rates.hpp"

namespace larder::tools {

/// How the service that asks stands; what is no service has nothing to say.
struct ServiceState {
    bool reads_database = true;   ///< just now
    bool relay_caught_up = true;  ///< with the outbox of the database
};

/// What is judged. Rates and ages are those of the last looks, not of all the cache's life.
struct Evidence {
    Rates rates;
    std::uint64_t evicted = 0;                       ///< meanwhile
    double eviction_age_s = 0;                       ///< their median
    double ttl_s = 0;                                ///< the median that entries were given; 0: no entry is known
    shm::Shortage shortage = shm::Shortage::memory;  ///< for which it evicts
    shm::Gauges gauges;
    std::uint32_t processes = 0;       ///< attached and alive
    std::uint32_t stopped = 0;         ///< of these stand still (state T) inside a shard
    std::int64_t longest_wait_ms = 0;  ///< for another's computation, since when it runs
    std::uint32_t waiters = 0;         ///< of that computation
    ServiceState service;
    std::optional<SyncState> sync;  ///< nullopt: the cache has no promise
};

struct Verdict {
    bool is_bad = false;  ///< else a fact to know
    std::string text;
};

/// The worst first; never none.
std::vector<Verdict> verdicts_of(const Evidence& evidence);

}  // namespace larder::tools
