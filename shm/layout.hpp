// The segment's format: plain data, no behaviour. LAYOUT.md draws it and has a row for every atomic field.
//
// Whoever maps a segment casts its bytes to these structs, so that a change here is a change of format: raise
// kLayoutNumber. (The signature in the header catches a build that lays the same fields out differently.)
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace larder::shm {

inline constexpr std::uint64_t kMagic = 0x31305245'4452414cULL;  // "LARDER01" on a little-endian machine
inline constexpr std::uint32_t kLayoutNumber = 5;

inline constexpr std::size_t kLineBytes = 64;
inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kUnitBytes = 16;  // records start at a multiple of it; offsets in slots and cells count it

inline constexpr std::uint32_t kProcesses = 256;
inline constexpr std::uint32_t kThreadBlocks = 16;  // of one process
inline constexpr std::uint32_t kPinCells = 4;       // of one thread block
inline constexpr std::uint32_t kThreadCounters = 43;
inline constexpr std::uint32_t kFences = 1u << 18;
inline constexpr std::uint32_t kLeaseLocks = 64;
inline constexpr std::uint32_t kLeasesPerLock = 16;
inline constexpr std::uint32_t kHours = 24;
inline constexpr std::uint32_t kHitStripes = 4;
inline constexpr std::uint32_t kKeyWindow = 16;  // a key's entry is one of so many neighbours
inline constexpr std::uint32_t kNotices = 256;   // the ring of recent ones
inline constexpr std::uint32_t kSyncMarks = 16'384;
inline constexpr std::uint32_t kPositionKinds = 2;  // by a position's highest bit
inline constexpr std::uint32_t kBuckets = 48;       // of a histogram: bucket b counts values of b significant bits

inline constexpr std::uint64_t kMaxKeyBytes = 1024;
inline constexpr std::uint32_t kMaxTags = 16;
inline constexpr std::uint64_t kMaxTagBytes = 256;
inline constexpr std::uint64_t kMinShardBytes = 4ULL << 20;
inline constexpr std::uint32_t kMaxShards = 1024;
inline constexpr std::uint32_t kMaxDirectorySlots = (1u << 20) / 8;
inline constexpr std::uint32_t kMaxProbe = 256;

using Word32 = std::atomic<std::uint32_t>;
using Word64 = std::atomic<std::uint64_t>;
using Time64 = std::atomic<std::int64_t>;
static_assert(Word32::is_always_lock_free && Word64::is_always_lock_free && Time64::is_always_lock_free,
              "an atomic with a private lock table is useless between processes");
static_assert(sizeof(Word32) == 4 && sizeof(Word64) == 8, "atomics are laid out as their values");

/// Where everything lies, in bytes from the segment's start, and the rules fixed when it was made. Never changes.
struct Geometry {
    std::uint64_t segment_bytes;
    std::uint64_t registry_at;      // ProcessSlot[kProcesses]
    std::uint64_t threads_at;       // ThreadBlock[kProcesses][kThreadBlocks]
    std::uint64_t fences_at;        // Word64[kFences]
    std::uint64_t leases_at;        // LeaseGroup[kLeaseLocks]
    std::uint64_t keys_at;          // KeyEntry[tracked_keys]
    std::uint64_t key_hits_at;      // Word64[kHitStripes][tracked_keys]
    std::uint64_t shards_at;        // Shard[shards]
    std::uint64_t arena_states_at;  // ArenaState[arenas]
    std::uint64_t directories_at;   // Word64[shards][directory_slots]
    std::uint64_t arenas_at;        // bytes[arenas][arena_bytes]
    std::uint64_t arena_bytes;
    std::uint64_t node_bytes;       // the part of an arena that holds index nodes; records follow
    std::uint64_t tracked_keys;     // a multiple of shards * kKeyWindow, or 0
    std::uint64_t max_entries;      // of the whole segment, 0: no limit
    std::uint64_t max_bytes;        // of keys and values, 0: no limit
    std::uint32_t shards;           // power of two
    std::uint32_t arenas;           // shards, and spares from 8 shards on
    std::uint32_t directory_slots;  // of one shard, power of two
    std::uint32_t strict_recency;   // 1: LRU by a counter
};

/// Counts in powers of two; every field relaxed, only ever added to.
struct Histogram {
    Word64 count, sum;
    Word64 buckets[kBuckets];
};

/// One of the last kNotices notices, for people to look at. `number` is stored last.
struct NoticeMark {
    Word64 number;  // 0 while the rest is being written
    Time64 at_ns;
    Word32 kind;  // a FenceKind
    Word32 text_bytes;
    Word64 text[8];  // the beginning of what was named
};

/// Whoever reads the source at `position` or later sees the changes of all notices up to `notice`. Stored in any order
/// by anybody: what is not of one write is told by `check`.
struct SyncMark {
    Word64 notice;
    Word64 position;  // in the source's own numbers
    Word64 check;     // of the two
};

struct SyncMarks {
    Word64 begun;                // places that were ever taken
    SyncMark marks[kSyncMarks];  // the first one for ever at 0, the others in turn
};

/// Name and meaning of a counter, so that an older tool can print a newer counter.
struct CounterLabel {
    char name[24];
    char meaning[104];
};

struct SegmentHeader {
    std::uint64_t magic;
    std::uint32_t layout_number;
    std::uint32_t header_bytes;
    std::uint64_t signature;
    std::uint64_t incarnation;  // of this segment, never 0, never that of an earlier one
    std::uint64_t hash_seed;
    std::uint64_t pid_namespace, time_namespace;  // inodes
    std::uint64_t creator_pid;

    // Written by each notice; on a line that no reader of values touches.
    alignas(2 * kLineBytes) Word64 notice_number;

    // Read by every hit, written at the end of each notice.
    alignas(kLineBytes) Word64 applied;
    Word64 everything;  // the fence that all entries depend on
    // What backed entries are good for, read by hits on them.
    Time64 last_sync_ns;       // all that the source had committed by then is announced; kNeverSynced
    Time64 fresh_for_ns;       // after last_sync_ns, or after its own reading, one is served so long; the maximum: ever
    Time64 degraded_after_ns;  // the part of it in which all is well; 0: no promise

    alignas(kLineBytes) Word64 recency;  // strict mode's counter of uses
    alignas(kLineBytes) Time64 tend_due_ns;
    Word32 tend_cursor;
    Word32 registry_high;  // slots that were ever used; never lowered
    Time64 suspended_ns;   // BOOTTIME - MONOTONIC when last looked at
    Time64 open_at_ns;  // puts are refused before it (a replaced segment's processes may still announce to the old one)
    Word32 identity_claimed;

    alignas(kLineBytes) Geometry geometry;
    char boot_id[40];
    char identity[256];  // what the cache serves; complete before identity_claimed is 2
    std::int64_t created_ns;

    alignas(kLineBytes) Word64 overflow_counts[kThreadCounters];  // of threads without a block
    alignas(kLineBytes) Histogram eviction_age_ms, compute_us, lookup_ns;
    NoticeMark notices[kNotices];
    SyncMarks sync_marks[kPositionKinds];
    CounterLabel labels[kThreadCounters];
};
// The pin cells begin at multiples of 128: a load of `applied` at the same offset modulo 4096 would wait for the pin's
// store.
static_assert(offsetof(SegmentHeader, applied) % 128 == 64, "`applied` must not alias a pin cell");

/// One attached process. Written by whoever's word is in `claimed_by`, and by nobody else.
struct alignas(kLineBytes) ProcessSlot {
    Word32 state;  // SlotState
    Word32 pid;
    Word64 start_ticks;  // field 22 of /proc/PID/stat: with pid, an identity that is not reused
    Word64 incarnation;  // + 1 for each new owner
    Time64 attached_ns;
    Word64 claimed_by;  // pid: 22, of its start time: 10, program (another one after exec): 16, copy of the library: 16
    Word32 blocks_high;  // thread blocks that were ever used; never lowered
    char role[16];
    char name[16];  // the program's
};
enum class SlotState : std::uint32_t { free = 0, claiming = 1, live = 2 };

/// One thread's pins and totals. A cell is free iff 0, else it holds a record's offset in units. Totals are written by
/// the owning thread alone and never reset.
struct alignas(2 * kLineBytes) ThreadBlock {
    Word64 cells[kPinCells];
    Word32 owner;   // thread id, 0: free
    Word32 inside;  // 0, or 1 + shard while in a writing section; kRebuilding added while it rebuilds
    Word64 counts[kThreadCounters];
};
inline constexpr std::uint32_t kRebuilding = 1u << 31;
static_assert(sizeof(ThreadBlock) == 6 * kLineBytes, "the first line has the pins and the hits");

/// One key that is being computed, or was a moment ago. Guarded by its group's lock, but for `word` and what inspectors
/// read.
struct alignas(kLineBytes) LeaseSlot {
    Word32 word;   // futex: raised by every change of state
    Word32 state;  // LeaseState
    Word64 key_hash;
    Word64 token;   // of the last holder; raised by each new one
    Word32 holder;  // registry slot
    Word32 waiters;
    Word64 holder_incarnation;
    Time64 deadline_ns;
    Time64 changed_ns;
    Word64 as_of;
};
enum class LeaseState : std::uint32_t { free, held, stored, fenced, failed, uncacheable, abandoned };

struct alignas(kLineBytes) LeaseGroup {
    pthread_mutex_t mutex;
    alignas(kLineBytes) LeaseSlot slots[kLeasesPerLock];
};

/// One key's counts, kept over eviction, expiry and invalidation. With its hit stripes 256 bytes.
struct KeyEntry {
    Word64 key_hash;    // 0: free
    Word64 cum_misses;  // never reset
    Word32 head;        // hour of the last event
    Word32 fate;        // Fate
    Word32 last_change_s, mean_interval_s;
    Word64 ring[kHours];  // at hour % 24: the cumulative counts when that hour began, 36 bits hits, 28 bits misses
};
enum class Fate : std::uint32_t { never, live, evicted, expired, invalidated };
static_assert(sizeof(KeyEntry) + kHitStripes * sizeof(Word64) == 256, "what a tracked key costs");

/// One shard's control data. Fields without an atomic are its lock holder's alone.
struct alignas(kLineBytes) Shard {
    pthread_mutex_t mutex;
    Word32 mutating;  // not 0: the arena, index or directory is half edited
    Word32 arena;     // which one it uses

    alignas(kLineBytes) Word64 moves;  // odd while slots are shifted
    Word32 closed;                     // 1: it has no arena, since none was free; `arena` means nothing
    std::uint32_t retired_count;
    std::uint64_t publications;                 // the count in slots' words
    std::uint64_t reserved;                     // offset of a record that is being filled, 0: none
    std::uint64_t retired_first, retired_last;  // a list through Record::next_retired, offsets in units
    std::uint32_t cursor;                       // of the sweep for dead entries

    alignas(kLineBytes) Word64 entries, payload_bytes, arena_used_bytes, rebuilds, evictions, expirations;
};

/// What an arena is used for: kind, the shard it belongs to, and a count of changes, in one word.
enum class ArenaKind : std::uint32_t {
    spare,
    owned,
    condemned,  // left by a shard that was rebuilt; a spare once no pin names anything in it
    pinned,     // condemned, and kept by a pin for so long that it was counted
};
struct ArenaState {
    Word64 word;
    Time64 condemned_ns;  // when it became condemned
};
constexpr std::uint64_t arena_state(ArenaKind kind, std::uint32_t shard, std::uint32_t changes) {
    return static_cast<std::uint64_t>(changes) << 32 | static_cast<std::uint64_t>(shard) << 8 |
           static_cast<std::uint64_t>(kind);
}
constexpr ArenaKind arena_kind(std::uint64_t state) { return static_cast<ArenaKind>(state & 0xFF); }
constexpr std::uint32_t arena_shard(std::uint64_t state) { return static_cast<std::uint32_t>(state >> 8) & 0xFFFFFF; }
constexpr bool is_condemned(std::uint64_t state) {
    return arena_kind(state) == ArenaKind::condemned || arena_kind(state) == ArenaKind::pinned;
}
constexpr std::uint32_t arena_changes(std::uint64_t state) { return static_cast<std::uint32_t>(state >> 32); }

/// One published value. Its bytes never change after publication, but for the atomics and the writers' `next_retired`.
/// Behind it: the key, stripes of all it depends on (u32 each: key, namespace, tags), tags (u16 length, text), the
/// value.
struct Record {
    std::uint64_t id;
    std::uint64_t as_of;  // notice number before its source was read
    std::int64_t created_ns;
    std::uint64_t checksum;  // XXH3 of the value
    std::uint32_t stale_if_error_ms;
    std::uint32_t next_retired;
    std::int64_t read_ns;  // when the reading of its source began; 0: not known
    // What a hit reads starts here, and ends with the key.
    std::uint64_t hash;
    std::int64_t expires_ns;
    std::int64_t soft_expires_ns;  // the maximum: none
    Word64 checked;                // `applied` when the fences were last found low
    Word64 last_used;              // in steps of 128 ms, or strict mode's count
    std::uint32_t key_entry;       // index in the key table, kUntracked: none
    Word32 hour;                   // the key entry's head is at least this
    std::uint32_t value_at;        // bytes from the record's start
    std::uint32_t value_bytes;
    std::uint16_t key_bytes;
    std::uint8_t tags;
    std::uint8_t flags;  // RecordFlag
    std::uint32_t tags_bytes;
};
/// A process knows that its segment was replaced at most so long after.
inline constexpr std::int64_t kLookNs = 50'000'000;
/// A segment that replaced another takes no values and gives no stamps for so long: by then everybody knows of it.
inline constexpr std::int64_t kClosedNs = 5 * kLookNs;
/// So long before it is open everybody begins to know: the last look at its predecessor may be this old, and a fifth
/// more for what lies between a look and its use.
inline constexpr std::int64_t kEverybodyLooksNs = kClosedNs - kLookNs * 6 / 5;
inline constexpr std::uint32_t kUntracked = 0xFFFFFFFFu;
inline constexpr std::int64_t kRecencyStepNs = 128'000'000;
enum RecordFlag : std::uint8_t {
    kNegative = 1,
    kBacked = 2,   // subject to fresh_for_ns
    kReplica = 4,  // what was read may have been behind the source when it was read
};
inline constexpr std::int64_t kNeverSynced = std::numeric_limits<std::int64_t>::min() / 2;
static_assert(sizeof(Record) == 112 && offsetof(Record, hash) == 48);

/// The segment as mapped here. A value: copy it freely.
struct SegmentView {
    std::byte* base = nullptr;
    std::uint64_t bytes = 0;  // mapped; never less than geometry.segment_bytes
    const Geometry* geometry = nullptr;

    template <class T>
    T* at(std::uint64_t offset) const {
        return reinterpret_cast<T*>(base + offset);
    }
    SegmentHeader& header() const { return *at<SegmentHeader>(0); }
    ProcessSlot& process(std::uint32_t slot) const { return at<ProcessSlot>(geometry->registry_at)[slot]; }
    ThreadBlock* threads(std::uint32_t slot) const {
        return at<ThreadBlock>(geometry->threads_at) + static_cast<std::size_t>(slot) * kThreadBlocks;
    }
    Word64* fences() const { return at<Word64>(geometry->fences_at); }
    LeaseGroup& leases(std::uint32_t group) const { return at<LeaseGroup>(geometry->leases_at)[group]; }
    KeyEntry& key_entry(std::uint32_t index) const { return at<KeyEntry>(geometry->keys_at)[index]; }
    Word64& key_hits(std::uint32_t stripe, std::uint32_t index) const {
        return at<Word64>(geometry->key_hits_at)[stripe * geometry->tracked_keys + index];
    }
    Shard& shard(std::uint32_t index) const { return at<Shard>(geometry->shards_at)[index]; }
    ArenaState& arena_state(std::uint32_t arena) const { return at<ArenaState>(geometry->arena_states_at)[arena]; }
    Word64* directory(std::uint32_t shard) const {
        return at<Word64>(geometry->directories_at) + static_cast<std::size_t>(shard) * geometry->directory_slots;
    }
    std::byte* arena(std::uint32_t index) const { return base + geometry->arenas_at + index * geometry->arena_bytes; }
};

}  // namespace larder::shm
