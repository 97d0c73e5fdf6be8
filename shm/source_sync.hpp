// What is known of the source that entries are backed by: when all its changes were announced last, how long entries
// are good for after that, and which notices a position of the source stands for.
//
// The promise. `last_sync_ns` = S says: all that the source had committed by S is announced. A reader takes S before
// `applied`, so that it judges by the notices which S stands for. A backed record that those leave alive lacks nothing
// that was committed by S; read from the source at R, it lacks nothing that was committed by R. So it may be served
// while the later of the two is less than fresh_for_ns ago, and an outage of whoever follows the source costs one
// computation for each key and fresh_for_ns, not one for each request. S only grows, and each word is true by itself:
// who is killed between two stores leaves nothing to repair.
//
// Positions. A replica may be behind notices that are older than a reading of it. Mark (N, P): the source stood at P or
// below when N was the last notice, hence every change that a notice up to N stands for lies at P or below. What is
// read at a position L >= P has seen them all, so that its value may be kept with the as_of N: it is refused, or dead,
// once anything it depends on was announced after N. Of the marks up to L the highest N counts. The first mark is kept
// for ever: behind it nobody can say what a reading lacks. Positions with and without the highest bit are of two kinds,
// which are never compared: a stream that tells of the source numbers its messages, the source its log.
#pragma once

#include <cstdint>
#include <optional>

#include "shm/cache.hpp"
#include "shm/elapsed.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

class SourceSync {
public:
    explicit SourceSync(SegmentView view) : header_(&view.header()) {}

    /// From now on backed entries are under a promise. Killed in it, the next process that opens the cache makes it.
    void promise(std::int64_t degraded_after_ns, std::int64_t max_stale_ns) const;

    /// The source had committed nothing by `begun_ns` that is not announced. Never goes back; stores only what is worth
    /// a write to a line that every hit reads.
    void advance(std::int64_t begun_ns) const;
    /// Whoever reads the source at `position` or later sees what the notices up to `notice` stand for. Any number of
    /// threads and processes; keeps it only where it is news.
    void mark(std::uint64_t notice, std::uint64_t position) const;

    /// Number of the last notice whose change is seen at `position` for certain; nullopt: nothing is known. Bounded.
    std::optional<std::uint64_t> notice_seen_at(std::uint64_t position) const;

    /// Read it before `applied`.
    std::int64_t last_ns() const { return header_->last_sync_ns.load(std::memory_order_acquire); }
    /// The record is backed, and nobody can say any more whether its source has changed. `last_ns`: as it was at
    /// `now_ns`.
    bool is_late(const Record& record, std::int64_t last_ns, std::int64_t now_ns) const {
        if ((record.flags & kBacked) == 0) return false;
        const std::int64_t fresh_for_ns = header_->fresh_for_ns.load(std::memory_order_relaxed);
        if (elapsed_ns(last_ns, now_ns) < fresh_for_ns) [[likely]]
            return false;
        return !was_read_within(record, fresh_for_ns, now_ns);
    }
    bool is_late(const Record& record, std::int64_t now_ns) const { return is_late(record, last_ns(), now_ns); }

    std::optional<SyncState> state(std::int64_t now_ns) const;

private:
    static bool was_read_within(const Record& record, std::int64_t fresh_for_ns, std::int64_t now_ns);

    SegmentHeader* header_;
};

}  // namespace larder::shm
