#include "shm/signature.hpp"

#include <features.h>

#include <bit>
#include <boost/version.hpp>
#include <cstddef>

#include "shm/arena.hpp"
#include "shm/entry_index.hpp"
#include "shm/layout.hpp"

namespace larder::shm {
namespace {

template <class T>
constexpr std::uint64_t shape() {
    return static_cast<std::uint64_t>(sizeof(T)) << 32 | alignof(T);
}

// Ordered indexes keep a node's colour in a pointer unless they are told not to.
#ifdef BOOST_MULTI_INDEX_DISABLE_COMPRESSED_ORDERED_INDEX_NODES
constexpr std::uint64_t kNodeShape = 1;
#else
constexpr std::uint64_t kNodeShape = 0;
#endif

// clang-format off
constexpr std::uint64_t kFields[] = {
    kLayoutNumber, BOOST_VERSION, __GLIBC__, __GLIBC_MINOR__, std::endian::native == std::endian::little, sizeof(void*),
    // Numbers that size tables
    kUnitBytes, kProcesses, kThreadBlocks, kPinCells, kThreadCounters, kFences, kLeaseLocks,
    kLeasesPerLock, kHours, kHitStripes, kKeyWindow, kNotices, kSyncMarks, kBuckets,
    // Structures
    shape<pthread_mutex_t>(), shape<Word32>(), shape<Word64>(), shape<Time64>(), shape<Geometry>(), shape<Histogram>(),
    shape<NoticeMark>(), shape<SyncMark>(), shape<CounterLabel>(), shape<SegmentHeader>(), shape<ProcessSlot>(),
    shape<ThreadBlock>(), shape<LeaseSlot>(), shape<LeaseGroup>(), shape<KeyEntry>(), shape<Shard>(),
    shape<ArenaState>(), shape<Record>(),
    // What Boost lays out in an arena
    shape<ArenaHead>(), shape<Heap::segment_manager>(), shape<IndexEntry>(), shape<EntryIndex>(), kNodeShape,
    // Fields
    offsetof(Geometry, arena_bytes), offsetof(Geometry, max_bytes), offsetof(Geometry, strict_recency),
    offsetof(Histogram, buckets), offsetof(NoticeMark, text),
    offsetof(SegmentHeader, incarnation), offsetof(SegmentHeader, hash_seed), offsetof(SegmentHeader, pid_namespace),
    offsetof(SegmentHeader, time_namespace), offsetof(SegmentHeader, creator_pid),
    offsetof(SegmentHeader, notice_number),
    offsetof(SegmentHeader, applied), offsetof(SegmentHeader, everything), offsetof(SegmentHeader, last_sync_ns),
    offsetof(SegmentHeader, fresh_for_ns), offsetof(SegmentHeader, degraded_after_ns),
    offsetof(SegmentHeader, recency), offsetof(SegmentHeader, tend_due_ns),
    offsetof(SegmentHeader, tend_cursor), offsetof(SegmentHeader, registry_high), offsetof(SegmentHeader, suspended_ns),
    offsetof(SegmentHeader, open_at_ns), offsetof(SegmentHeader, identity_claimed),
    offsetof(SegmentHeader, geometry), offsetof(SegmentHeader, boot_id), offsetof(SegmentHeader, identity),
    offsetof(SegmentHeader, created_ns), offsetof(SegmentHeader, overflow_counts),
    offsetof(SegmentHeader, eviction_age_ms), offsetof(SegmentHeader, compute_us), offsetof(SegmentHeader, lookup_ns),
    offsetof(SegmentHeader, notices), offsetof(SegmentHeader, sync_marks), offsetof(SyncMarks, marks),
    offsetof(SegmentHeader, labels), offsetof(SyncMark, position), offsetof(SyncMark, check),
    offsetof(ProcessSlot, pid), offsetof(ProcessSlot, start_ticks), offsetof(ProcessSlot, incarnation),
    offsetof(ProcessSlot, attached_ns), offsetof(ProcessSlot, claimed_by), offsetof(ProcessSlot, blocks_high),
    offsetof(ProcessSlot, role), offsetof(ProcessSlot, name),
    offsetof(ThreadBlock, owner), offsetof(ThreadBlock, inside), offsetof(ThreadBlock, counts),
    offsetof(LeaseSlot, state), offsetof(LeaseSlot, key_hash), offsetof(LeaseSlot, token), offsetof(LeaseSlot, holder),
    offsetof(LeaseSlot, waiters), offsetof(LeaseSlot, holder_incarnation), offsetof(LeaseSlot, deadline_ns),
    offsetof(LeaseSlot, changed_ns), offsetof(LeaseSlot, as_of), offsetof(LeaseGroup, slots),
    offsetof(KeyEntry, cum_misses), offsetof(KeyEntry, head), offsetof(KeyEntry, fate),
    offsetof(KeyEntry, last_change_s), offsetof(KeyEntry, ring),
    offsetof(Shard, mutating), offsetof(Shard, arena), offsetof(Shard, moves), offsetof(Shard, closed),
    offsetof(Shard, retired_count), offsetof(Shard, publications), offsetof(Shard, reserved),
    offsetof(Shard, retired_first), offsetof(Shard, cursor), offsetof(Shard, entries),
    offsetof(Record, as_of), offsetof(Record, created_ns), offsetof(Record, checksum), offsetof(Record, next_retired),
    offsetof(Record, read_ns), offsetof(Record, tags_bytes), offsetof(Record, hash), offsetof(Record, expires_ns),
    offsetof(Record, soft_expires_ns), offsetof(Record, checked), offsetof(Record, last_used),
    offsetof(Record, key_entry), offsetof(Record, hour), offsetof(Record, value_at), offsetof(Record, value_bytes),
    offsetof(Record, key_bytes), offsetof(Record, tags), offsetof(Record, flags),
};
// clang-format on

consteval std::uint64_t compute() {
    std::uint64_t signature = 0xCBF29CE484222325ULL;
    for (const std::uint64_t field : kFields) signature = mix_signature(signature, field);
    return signature;
}

}  // namespace

std::uint64_t layout_signature() {
    static constexpr std::uint64_t signature = compute();
    return signature;
}

}  // namespace larder::shm
