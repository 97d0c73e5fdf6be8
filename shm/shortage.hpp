// Shortage: what a cache that evicts has run out of. Only loads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shm/inspector.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

enum class Shortage : std::uint8_t {
    memory,       ///< more --size helps
    places,       ///< the directories are full: more --expected-entries helps, more --size does not
    max_entries,  ///< the limit of --max-entries
    max_bytes,    ///< the limit of --max-bytes
};

/// What keeps most entries out. REQUIRES: the cache evicts.
Shortage shortage_of(const Geometry& geometry, const Gauges& gauges);

/// In words that follow "It is full": ` by number of entries, with 71 % of its memory free`; empty for memory.
std::string fullness_text(Shortage shortage, const Gauges& gauges);
/// The option that makes room.
std::string_view option_against(Shortage shortage);

}  // namespace larder::shm
