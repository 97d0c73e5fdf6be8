// How large each part of a segment is and where it lies: a function of the options, and a check of what a file says.
#pragma once

#include <cstdint>

#include "shm/cache.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

inline constexpr std::uint64_t kNodeBytes = 128;       // of the index, one per entry
inline constexpr std::uint64_t kHashBucketBytes = 16;  // of its hashed index, one per entry
inline constexpr std::uint32_t kMinDirectorySlots = 1024;
inline constexpr std::uint64_t kMaxSegmentBytes = kUnitBytes << 32;  // an offset in units has 32 bits

/// The part of an arena for the index of a directory of so many slots, which is at most half full.
constexpr std::uint64_t node_area_bytes(std::uint32_t directory_slots) {
    const std::uint64_t entries = directory_slots / 2;
    const std::uint64_t bytes = entries * (kNodeBytes + kHashBucketBytes) + (64ULL << 10);
    return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// The largest value of a cache: a quarter of a shard, but at most half of its records' memory, and of 32 bits.
constexpr std::uint64_t max_value_bytes(const Geometry& geometry) {
    const std::uint64_t half = (geometry.arena_bytes - geometry.node_bytes) / 2;
    const std::uint64_t quarter = geometry.arena_bytes / 4;
    const std::uint64_t addressable = (1ULL << 32) - (64ULL << 10);
    return std::min({half, quarter, addressable});
}

/// What a cache of these options looks like. Throws OpenError "options", with the numbers that would do.
Geometry plan_geometry(const Options& options);

/// The least size_bytes at which plan_geometry takes these options (their own size_bytes does not matter, but for the
/// number of shards that it implies).
std::uint64_t required_bytes(const Options& options);

/// Everything is where plan_geometry would have put it in a file of `file_bytes`.
bool is_valid_geometry(const Geometry& geometry, std::uint64_t file_bytes);

}  // namespace larder::shm
