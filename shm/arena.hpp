// An arena: the memory of one shard, records in one managed buffer, index nodes in another beside it.
//
// No reader ever looks at the nodes; the allocator's own words lie between the records, where readers that go by the
// directory never look either.
#pragma once

#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cstddef>
#include <cstdint>

#include "shm/layout.hpp"

namespace larder::shm {

/// Unlocked inside: the shard's robust mutex guards it.
using Heap = boost::interprocess::basic_managed_external_buffer<
    char, boost::interprocess::rbtree_best_fit<boost::interprocess::null_mutex_family>,
    boost::interprocess::iset_index>;

struct ArenaHead {
    std::uint64_t index_at;  // of the EntryIndex, from the arena's start
};

/// Makes the arena empty, whatever it held. Repeatable after a death at any point.
void format_arena(std::byte* arena, const Geometry& geometry);

/// The arena with this number exists, and its head says where an index may be.
bool is_sound_arena(const SegmentView& view, std::uint32_t arena);
/// What is reserved and the ends of the retired list lie in the shard's arena. REQUIRES: is_sound_arena.
bool has_sound_lists(const SegmentView& view, const Shard& shard);

/// Opens what format_arena made. REQUIRES the shard's lock.
class Arena {
public:
    Arena(std::byte* base, const Geometry& geometry);

    /// Null when there is no room. 16-aligned.
    void* allocate(std::uint64_t bytes) noexcept;
    void free(void* record) noexcept { records_.deallocate(record); }
    std::uint64_t used_bytes() const { return records_.get_size() - records_.get_free_memory(); }

private:
    Heap records_;
};

/// Entries that the node heap has room for.
std::uint64_t entries_that_fit(const Geometry& geometry);

}  // namespace larder::shm
