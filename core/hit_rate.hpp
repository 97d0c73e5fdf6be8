// HitRate: how often the document of an assignment was found in the cache during the last 24 hours.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/rounding.hpp"

namespace larder {

struct HitRate {
    std::uint64_t hits = 0, misses = 0;
    std::string cache_key;
    std::chrono::seconds ttl{0};

    std::uint64_t total() const { return hits + misses; }
    Hundredths percentage() const;  ///< 0.0 when total is 0
};

/// `{ hits, misses, total, hit_rate_percentage, cache_key, ttl_seconds }`
std::string to_json(const HitRate& rate);

}  // namespace larder
