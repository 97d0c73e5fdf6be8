// TopSnapshot: all that `larder top` shows at one moment, plain, so that it can be shown without a cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shm/inspector.hpp"
#include "tools/hot_keys.hpp"
#include "tools/rates.hpp"
#include "tools/verdicts.hpp"

namespace larder::tools {

struct ProcessLine {
    std::uint32_t pid = 0;
    std::string role, name;
    std::int64_t attached_ms = 0;
    std::uint32_t threads = 0, pins = 0;
    std::string does;  ///< in words
    bool is_alive = true;
};

struct LeaseLine {
    std::uint64_t key_hash = 0;
    std::string key;  ///< empty: it is not in the cache
    std::uint32_t pid = 0, waiters = 0;
    std::int64_t held_ms = 0, left_ms = 0;  ///< left until another may begin it
};

struct TopSnapshot {
    std::string cache;
    std::string absent;             ///< why there is nothing to show; empty: the rest is good
    bool was_replaced = false;      ///< a moment ago; the figures are another segment's than before
    bool since_made = false;        ///< rates are means of the cache's whole life: it is the first look
    std::uint64_t incarnation = 0;  ///< of the segment: another one, another cache
    std::int64_t made_ms = 0;       ///< ago
    std::uint64_t segment_bytes = 0;
    Rates rates;
    shm::Gauges gauges;
    std::vector<Verdict> verdicts;
    std::uint64_t looks_of_a_walk = 0;  ///< see HotKeys
    std::vector<KeyHeat> keys;
    std::vector<PrefixHeat> prefixes;
    std::vector<ProcessLine> processes;
    std::vector<LeaseLine> leases;  ///< held ones, the oldest first

    std::size_t living_processes() const {
        return static_cast<std::size_t>(std::count_if(processes.begin(), processes.end(),
                                                      [](const ProcessLine& process) { return process.is_alive; }));
    }
};

}  // namespace larder::tools
