// Writing to one shard: put, evict, expire, erase, reclaim, rebuild, all under its robust lock.
//
// Rules (protocol.md 1, 5, 6), each of which holds at every instruction, since a writer may be killed or stopped at
// any:
//   1. `mutating` is set while directory, index, heap, retire list or gauges disagree. Whoever gets the lock looks at
//   it
//      before anything else; set, nothing in the arena is touched again: the shard is rebuilt on another one.
//   2. Value bytes are copied with `mutating` clear: the record is allocated and named in `reserved`, filled, then
//   linked.
//      A writer that dies while it copies costs its own put and nothing else.
//   3. A record is unlinked, then retired, then freed once a scan that began after the unlinking finds no pin on it.
//   4. Readers never wait for any of this; writers wait for each other at most their budget.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shm/cache.hpp"
#include "shm/counters.hpp"
#include "shm/directory.hpp"
#include "shm/fences.hpp"
#include "shm/hash.hpp"
#include "shm/key_table.hpp"
#include "shm/layout.hpp"
#include "shm/record.hpp"
#include "shm/registry.hpp"
#include "shm/source_sync.hpp"

namespace larder::shm {

struct IndexEntry;

/// What a put wants to publish.
struct NewRecord {
    HashedKey key;
    std::string_view value;
    std::span<const std::string> tags;
    std::uint64_t as_of = 0;
    std::int64_t read_ns = 0;
    std::int64_t expires_ns = 0;
    std::int64_t soft_expires_ns = 0;
    std::uint32_t stale_if_error_ms = 0;
    std::uint8_t flags = 0;
    std::uint64_t checksum = 0;
    bool tracked = true;        ///< gets a place in the key table
    std::uint64_t renewed = 0;  ///< id of the record of which it is a copy; another one there: `older`
    bool for_waiters = false;   ///< publish even what is fenced: who waits for it may take it, nobody else is served it

    RecordShape shape() const;
};

/// The lock of one shard, held from enter() to the end of this object.
class ShardWriter {
public:
    /// `block`: the calling thread's, or null.
    ShardWriter(const SegmentView& view, const Registry& registry, std::uint32_t shard, ThreadBlock* block,
                std::int64_t now_ns);
    ~ShardWriter();
    ShardWriter(const ShardWriter&) = delete;
    ShardWriter& operator=(const ShardWriter&) = delete;

    /// False: not to be had within the budget. Recovers what a dead writer left.
    [[nodiscard]] bool enter(std::chrono::nanoseconds budget);
    bool rebuilt() const { return rebuilt_; }

    // REQUIRES of all below: enter() said true.

    /// nullopt: more must be evicted, or more recency stamps corrected, than one holding of the lock may: leave, enter
    /// and call it again.
    std::optional<PutResult> put(const NewRecord& wanted);
    /// Drops the key's record, unless it is alive: then it was stored after what the caller means.
    void erase(const HashedKey& key, Fate fate);
    /// Frees what no pin names any more, drops a few dead entries.
    void tend();

private:
    enum class Evicted : std::uint8_t { one, none, unfinished };

    void recover();
    void rebuild();
    void condemn_arenas();
    bool move_to_fresh_arena();
    bool is_sound() const;
    bool is_owned_here(std::uint64_t state) const;
    bool names_record(std::uint64_t word) const;
    std::optional<std::uint32_t> take_spare();
    bool open_closed();
    void reset_control();

    std::byte* arena_base() const { return view_.arena(shard_.arena.load(std::memory_order_relaxed)); }
    std::uint64_t units_of(const Record* record) const {
        return static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(record) - view_.base) / kUnitBytes;
    }
    Record* record_at(std::uint64_t units) const { return view_.at<Record>(units * kUnitBytes); }

    struct Room {
        Record* record = nullptr;
        bool unfinished = false;
    };
    Room make_room(const NewRecord& wanted, std::uint64_t replaced_bytes);
    std::uint64_t share_of(std::uint64_t total) const;
    bool over_limits(std::uint64_t payload_bytes, std::uint64_t replaced_bytes) const;
    Evicted evict_one();
    void fill(Record* record, const NewRecord& wanted);
    bool link(Record* record, const NewRecord& wanted);
    bool enter_index(const IndexEntry& entry);
    void unlink(const IndexEntry& entry, Fate fate);
    void retire(Record* record);
    std::uint32_t reclaim();
    void drop_expired();
    void drop_dead();
    bool is_alive(const Record& record) const;
    std::uint64_t stamp_of(const Record& record) const { return record.last_used.load(std::memory_order_relaxed); }
    std::uint32_t key_entry_for(const HashedKey& key);
    void count(Counter counter) { shm::count(block_, view_.header(), counter); }

    const SegmentView& view_;
    const Registry& registry_;
    const std::uint32_t shard_index_;
    Shard& shard_;
    Directory directory_;
    Fences fences_;
    SourceSync sync_;
    KeyTable keys_;
    ThreadBlock* block_;
    std::int64_t now_ns_;
    bool entered_ = false, rebuilt_ = false;
};

/// Turns condemned arenas in which no pin is left into spares, and counts those that were pinned for too long. Needs no
/// lock. `block`: the calling thread's, or null.
void release_condemned_arenas(const SegmentView& view, const Registry& registry, ThreadBlock* block);

/// Condemned for over 10 s: pins do not last that long unless a handle was forgotten.
bool is_long_condemned(const ArenaState& arena, std::int64_t now_ns);

/// Formats every arena that a shard owns: the last step of making a segment.
void format_owned_arenas(const SegmentView& view);

/// The stamp of a use at this time, by the segment's kind of recency.
inline std::uint64_t recency_stamp(const SegmentView& view, std::int64_t now_ns) {
    if (view.geometry->strict_recency != 0) return view.header().recency.fetch_add(1, std::memory_order_relaxed) + 1;
    return static_cast<std::uint64_t>(now_ns / kRecencyStepNs);
}

}  // namespace larder::shm
