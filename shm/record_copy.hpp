// Looking at a record that is not pinned: its bytes may be another record's by now, so that they are copied by words
// and believed only if its slot is found unchanged after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "shm/layout.hpp"
#include "shm/thread_sanitizer.hpp"

namespace larder::shm {

/// Bytes from `offset` to the end of its arena; 0: no record can begin there.
inline std::uint64_t record_room(const Geometry& geometry, std::uint64_t offset) {
    if (offset < geometry.arenas_at) return 0;
    const std::uint64_t inside = offset - geometry.arenas_at;
    if (inside / geometry.arena_bytes >= geometry.arenas) return 0;
    const std::uint64_t at = inside % geometry.arena_bytes;
    const std::uint64_t room = geometry.arena_bytes - at;
    return at < geometry.node_bytes || room < sizeof(Record) ? 0 : room;
}

/// Copies whole words: up to 7 bytes past `bytes` are read and written. REQUIRES: both are 8-aligned. Put an acquire
/// fence between it and the look at the slot.
LARDER_UNSANITIZED inline void copy_words(const std::byte* shared, void* own, std::uint64_t bytes) {
    for (std::uint64_t at = 0; at < bytes; at += 8) {
        // Not std::atomic's load, which may be a function of its own.
        const std::uint64_t word =
            __atomic_load_n(reinterpret_cast<const std::uint64_t*>(shared + at), __ATOMIC_RELAXED);
        std::memcpy(static_cast<char*>(own) + at, &word, sizeof word);
    }
}

}  // namespace larder::shm
