#include "shm/arena.hpp"

#include <new>

#include "shm/entry_index.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

std::byte* nodes_of(std::byte* arena) { return arena + kLineBytes; }
std::uint64_t nodes_bytes(const Geometry& geometry) { return geometry.node_bytes - kLineBytes; }

}  // namespace

std::uint64_t entries_that_fit(const Geometry& geometry) { return geometry.directory_slots / 2; }

void format_arena(std::byte* arena, const Geometry& geometry) {
    namespace ipc = boost::interprocess;
    // Whatever the bytes were, create_only writes over them; nothing of an old arena is read.
    Heap nodes(ipc::create_only, nodes_of(arena), nodes_bytes(geometry));
    LARDER_CRASH_POINT("arena.nodes");
    Heap records(ipc::create_only, arena + geometry.node_bytes, geometry.arena_bytes - geometry.node_bytes);
    LARDER_CRASH_POINT("arena.records");
    auto* index = new (nodes.allocate(sizeof(EntryIndex)))
        EntryIndex(EntryIndex::ctor_args_list(), EntryAllocator(nodes.get_segment_manager()));
    index->get<ByKey>().reserve(entries_that_fit(geometry));  // never rehashes: a put's cost has no spikes
    reinterpret_cast<ArenaHead*>(arena)->index_at =
        static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(index) - arena);
}

bool is_sound_arena(const SegmentView& view, std::uint32_t arena) {
    if (arena >= view.geometry->arenas) return false;
    const std::uint64_t index_at = reinterpret_cast<const ArenaHead*>(view.arena(arena))->index_at;
    return index_at % alignof(EntryIndex) == 0 && index_at >= kLineBytes &&
           index_at <= view.geometry->node_bytes - sizeof(EntryIndex);
}

bool has_sound_lists(const SegmentView& view, const Shard& shard) {
    const Geometry& geometry = *view.geometry;
    const std::uint64_t arena_at =
        geometry.arenas_at + shard.arena.load(std::memory_order_relaxed) * geometry.arena_bytes;
    const std::uint64_t first = (arena_at + geometry.node_bytes) / kUnitBytes;
    const std::uint64_t last = (arena_at + geometry.arena_bytes - sizeof(Record)) / kUnitBytes;
    const auto inside = [=](std::uint64_t units) { return units >= first && units <= last; };
    if (shard.reserved != 0 && !inside(shard.reserved)) return false;
    return shard.retired_count == 0 || (inside(shard.retired_first) && inside(shard.retired_last) &&
                                        shard.retired_count <= geometry.arena_bytes / sizeof(Record));
}

Arena::Arena(std::byte* base, const Geometry& geometry)
    : records_(boost::interprocess::open_only, base + geometry.node_bytes, geometry.arena_bytes - geometry.node_bytes) {
}

void* Arena::allocate(std::uint64_t bytes) noexcept {
    if (testing::allocation_fails()) return nullptr;
    return records_.allocate(bytes, std::nothrow);
}

EntryIndex& entry_index(std::byte* arena) {
    return *reinterpret_cast<EntryIndex*>(arena + reinterpret_cast<ArenaHead*>(arena)->index_at);
}

}  // namespace larder::shm
