// XXH3 with the segment's seed, and how one 64-bit hash is divided among shard, directory and tag.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace larder::shm {

inline std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// A key with its hash, to look up by.
struct HashedKey {
    std::uint64_t hash = 0;
    std::string_view text;
    bool operator==(const HashedKey& other) const { return hash == other.hash && text == other.text; }
};

/// Of a value's bytes; found damaged where it is verified. In a source of its own, which is compiled to be fast.
std::uint64_t checksum_of(std::string_view value);

// Bits 63..54 choose the shard, 51..40 are the slot's tag, the low ones the slot: no part is derived from another.
inline std::uint32_t shard_of(std::uint64_t hash, std::uint32_t shards) {
    return static_cast<std::uint32_t>(hash >> 54) & (shards - 1);
}
inline std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 40) & 0xFFF; }

}  // namespace larder::shm
