// Per-key counts of 24 hours, kept over eviction, expiry and invalidation.
//
// A key's entry is one of the kKeyWindow entries that follow a place chosen by its hash, inside its shard's part of the
// table. An entry that was taken is never freed, only given to another key while the shard is locked, so that
//   - a search may stop at the first free entry,
//   - whoever adds a key tries the entries in the same order and compare-and-swaps the first free one: two adders of
//   one
//     key meet there, and a key never has two entries,
//   - a window is full for good: from then on only recycle() changes keys in it, one locker at a time.
//
// Counts only grow. ring[hour % 24] holds the sums when that hour began, so that the use of a window of hours is one
// subtraction. It packs 36 bits of hits and 28 bits of misses and is taken modulo: exact below 2^36 hits and 2^28
// misses (3,100 a second) of one key in 24 hours, and 2^35 and 2^27 within one of them.
//
// The first event of an hour advances the entry: read head, the ring, the sums, head again (changed: somebody else has
// done it), compare-and-swap the ring's entries of all hours since, then head, then count. A sum that holds a count of
// the new hour was read after head changed, which is why counts are added with release and summed with acquire. Every
// step may be the last of a killed process: the next event does it again.
//
// Threads and processes: everything is lock-free but recycle(). Nothing here reads a clock.
#pragma once

#include <cstdint>
#include <functional>

#include "shm/cache.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

/// Hours of the monotonic clock. The first one is kHours: 0 is "never", and a window of hours never begins below 1.
constexpr std::uint32_t hour_of(std::int64_t now_ns) {
    return static_cast<std::uint32_t>(now_ns / 3'600'000'000'000) + kHours;
}

class KeyTable {
public:
    KeyTable() = default;
    explicit KeyTable(const SegmentView& view);

    /// The hash that an entry holds: `hash`, but never 0. All members take either.
    static constexpr std::uint64_t entry_hash(std::uint64_t hash) { return hash == 0 ? 1 : hash; }

    /// Index of the key's entry, or kUntracked. Good as long as a record names it, a lock of the shard is held, or for
    /// a count at once (one that is delayed until its key was recycled, over 24 hours after its last event, is
    /// another's).
    std::uint32_t find(std::uint64_t hash, std::uint32_t shard) const;

    /// A key that find does not find there was not counted, even if it was asked for: its window is full, or there is
    /// no table.
    bool is_full_for(std::uint64_t hash, std::uint32_t shard) const;

    /// Where find looks first, for it to be near by then.
    void prefetch(std::uint64_t hash, std::uint32_t shard) const;

    /// As find, but takes a free entry of the window. kUntracked: none is free (recycle() may help), or there is no
    /// table.
    std::uint32_t find_or_add(std::uint64_t hash, std::uint32_t shard);

    /// Whether an unreclaimed record of the shard names the key with this entry_hash.
    using InUse = std::function<bool(std::uint64_t entry_hash)>;

    /// As find_or_add, and where the window is full gives the key an entry whose last event is over 24 hours old and
    /// that `in_use` denies. REQUIRES: the caller holds the shard's lock. Bounded: one window, at most kKeyWindow
    /// questions.
    std::uint32_t recycle(std::uint64_t hash, std::uint32_t shard, std::uint32_t now_hour, const InUse& in_use);

    /// Counts a hit of the record whose Record::hour is given: a load, a compare and one add. False: the index is none
    /// (kUntracked, or damaged), nothing was counted.
    bool count_hit(std::uint32_t index, std::uint32_t participant, std::uint32_t hour, Word32& record_hour) {
        if (index >= tracked_keys_) return false;
        if (record_hour.load(std::memory_order_acquire) < hour) enter_hour(index, hour, &record_hour);
        hits_[(participant % kHitStripes) * tracked_keys_ + index].fetch_add(1, std::memory_order_release);
        return true;
    }

    /// Counts a miss. False: as count_hit.
    bool count_miss(std::uint32_t index, std::uint32_t hour);

    /// Hits and misses in the running hour and the 23 before. When the hour turns meanwhile, the answer is that of the
    /// next hour.
    KeyUse use(std::uint64_t hash, std::uint32_t shard, std::int64_t now_ns) const;

    /// What became of the key's last record; who wrote last wins. `never` for kUntracked.
    void set_fate(std::uint32_t index, Fate fate);
    Fate fate(std::uint32_t index) const;

    /// The key was named by a notice. Never adds an entry. Changes within one second are one.
    void note_change(std::uint64_t hash, std::uint32_t shard, std::uint32_t now_s);

    /// Mean seconds between changes of a key: the first interval m, then m += (interval - m) / 8. 0: fewer than two
    /// changes.
    std::uint32_t mean_change_interval_s(std::uint32_t index) const;
    /// When it was last named, in seconds of the monotonic clock. 0: never.
    std::uint32_t last_change_s(std::uint32_t index) const;

    /// Entries in all, 0: no table.
    std::uint64_t size() const { return tracked_keys_; }

    /// What was ever counted in an entry, by whichever keys had it. REQUIRES: index < size().
    struct Sums {
        std::uint64_t hits, misses;
    };
    Sums sums(std::uint32_t index) const;
    /// The entry_hash of the key that has the entry; 0: none. REQUIRES: index < size().
    std::uint64_t hash_at(std::uint32_t index) const {
        return entries_[index].key_hash.load(std::memory_order_acquire);
    }

private:
    struct Window;
    Window window_of(std::uint64_t hash, std::uint32_t shard) const;
    void enter_hour(std::uint32_t index, std::uint32_t hour, Word32* record_hour);
    bool advance(std::uint32_t index, std::uint32_t hour);
    bool try_recycle(std::uint32_t index, std::uint64_t hash, std::uint32_t now_hour, const InUse& in_use);

    SegmentView view_;
    KeyEntry* entries_ = nullptr;
    Word64* hits_ = nullptr;
    std::uint64_t tracked_keys_ = 0;
    std::uint64_t per_shard_ = 0;
};

}  // namespace larder::shm
