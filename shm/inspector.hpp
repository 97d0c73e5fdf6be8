// Inspector: what a segment's control data say, for people and scripts to look at.
//
// Only loads: works on a read-only mapping, while writers hang, and while the owner of a lock is dead. Nothing is
// locked, registered or counted, no entry becomes younger. Each number is true at its own moment; numbers need not
// agree with each other while others write. (Entries: entry_cursor.hpp; counters: counters.hpp; histograms:
// histogram.hpp.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/fences.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

/// A registry slot that some process has, or had when it died.
struct ProcessFacts {
    std::uint32_t slot = 0;
    std::uint32_t pid = 0;
    std::uint64_t start_ticks = 0;  ///< with pid, an identity that is not reused
    std::uint64_t incarnation = 0;
    std::int64_t attached_ns = 0;
    std::string role, name;
    std::uint32_t threads = 0;            ///< thread blocks with an owner
    std::vector<std::uint64_t> pins;      ///< what its pin cells name: bytes from the segment's start
    std::optional<std::uint32_t> inside;  ///< the shard in whose writing section it is
    bool rebuilding = false;              ///< and it is making that shard anew
    bool alive = false;                   ///< by pid and start time as /proc has them; unreadable means alive
};

struct LeaseFacts {
    std::uint32_t slot = 0;
    std::uint64_t key_hash = 0;
    LeaseState state = LeaseState::free;
    std::uint32_t holder = 0;  ///< registry slot
    std::uint64_t holder_incarnation = 0;
    std::uint32_t waiters = 0;
    std::int64_t deadline_ns = 0;
    std::int64_t changed_ns = 0;
};

struct ShardFacts {
    std::uint32_t shard = 0;
    std::uint64_t entries = 0, payload_bytes = 0, arena_used_bytes = 0;
    std::uint64_t rebuilds = 0, evictions = 0, expirations = 0;
    std::uint64_t moves = 0;  ///< odd: slots are being shifted, or a writer died at it
    std::uint32_t arena = 0;
    bool mutating = false;  ///< a writer is at it, or died at it
    bool closed = false;    ///< takes no puts until no pin names its arena
};

struct ArenaFacts {
    std::uint32_t arena = 0;
    ArenaKind kind = ArenaKind::spare;
    std::uint32_t shard = 0;
    std::uint32_t changes = 0;  ///< of its state
};

struct NoticeFacts {
    std::uint64_t number = 0;
    std::int64_t at_ns = 0;
    FenceKind kind = FenceKind::key;
    std::string text;  ///< its first 64 bytes
    bool cut = false;
};

/// Sums over all shards.
struct Gauges {
    std::uint64_t entries = 0, payload_bytes = 0, arena_used_bytes = 0, arena_bytes = 0;
};

std::vector<ProcessFacts> read_processes(const SegmentView& view);
/// Slots that are not free.
std::vector<LeaseFacts> read_leases(const SegmentView& view);
ShardFacts read_shard(const SegmentView& view, std::uint32_t shard);
Gauges read_gauges(const SegmentView& view);
std::vector<ArenaFacts> read_arenas(const SegmentView& view);
/// The last ones, at most kNotices, in their order.
std::vector<NoticeFacts> read_notices(const SegmentView& view);
/// Name and meaning of a counter as the segment has them; an empty name: no such counter. A newer library's, too.
struct LabelFacts {
    std::string name, meaning;
};
LabelFacts read_label(const SegmentView& view, std::uint32_t counter);
std::string read_identity(const SegmentView& view);

std::string_view name_of(FenceKind kind);

}  // namespace larder::shm
