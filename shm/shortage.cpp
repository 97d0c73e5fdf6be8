#include "shm/shortage.hpp"

#include "shm/arena.hpp"

namespace larder::shm {
namespace {

/// Keys spread unevenly over the shards: the fullest one evicts while others have room still.
bool is_used_up(std::uint64_t used, std::uint64_t most) { return used >= most - most / 5; }

}  // namespace

Shortage shortage_of(const Geometry& geometry, const Gauges& gauges) {
    if (gauges.arena_used_bytes >= gauges.arena_bytes - gauges.arena_bytes / 10) return Shortage::memory;
    if (geometry.max_entries != 0 && is_used_up(gauges.entries, geometry.max_entries)) return Shortage::max_entries;
    if (geometry.max_bytes != 0 && is_used_up(gauges.payload_bytes, geometry.max_bytes)) return Shortage::max_bytes;
    if (is_used_up(gauges.entries, entries_that_fit(geometry) * geometry.shards)) return Shortage::places;
    return Shortage::memory;
}

std::string_view option_against(Shortage shortage) {
    switch (shortage) {
    case Shortage::places:
        return "--expected-entries";
    case Shortage::max_entries:
        return "--max-entries";
    case Shortage::max_bytes:
        return "--max-bytes";
    case Shortage::memory:
        break;
    }
    return "--size";
}

std::string fullness_text(Shortage shortage, const Gauges& gauges) {
    if (shortage == Shortage::memory) return {};
    const std::uint64_t used = gauges.arena_bytes == 0 ? 0 : 100 * gauges.arena_used_bytes / gauges.arena_bytes;
    return std::string(shortage == Shortage::max_bytes ? " by bytes of keys and values" : " by number of entries") +
           ", with " + std::to_string(100 - used) + " % of its memory free";
}

}  // namespace larder::shm
