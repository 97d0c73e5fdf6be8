// The read path: from a key to its record, pinned, without a lock, a wait, a copy or a system call.
//
// Probe the directory, publish the record's offset in a pin cell of this thread (a hazard pointer: M. Michael, Hazard
// Pointers, 2004), re-check that the slot still holds it, then compare the whole key. From the re-check to the store
// that empties the cell no writer frees the record. Every offset and length is checked before it is used; every retry
// is counted and ends as a miss. A thread without a free cell takes a copy, which counts only if the slot is unchanged
// after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shm/directory.hpp"
#include "shm/fences.hpp"
#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/record.hpp"
#include "shm/source_sync.hpp"
#include "shm/testing.hpp"

namespace larder::shm {

enum class Verdict : std::uint8_t {
    live,
    stale,
    negative,
    expired,      // record there, past its ttl; fences let it pass
    late,         // record there, within its ttl, but nobody can say any more whether its source has changed
    invalidated,  // record there, overtaken by a notice
    absent,
    contended,  // not found, but it may be there: its shard moved on during every try
};

/// What a key led to. A plain value: whoever receives it empties the cell, or deletes the copy.
struct Look {
    Verdict verdict = Verdict::absent;
    Record* record = nullptr;  // pinned or copied; null when absent or contended
    std::string_view value{};  // of the lengths that were checked: a peer may scribble over them afterwards
    Word64* cell = nullptr;    // that pins it
    char* copy = nullptr;      // new char[], the record itself being in it
    bool damaged = false;      // something on the way was not what a writer would have left there
};

class Lookup {
public:
    explicit Lookup(const SegmentView& view)
        : view_(view),
          fences_(view),
          sync_(view),
          arenas_at_(view.geometry->arenas_at),
          arenas_end_(view.geometry->arenas_at + view.geometry->arenas * view.geometry->arena_bytes),
          directories_(view.directory(0)),
          shards_(view.geometry->shards),
          mask_(view.geometry->directory_slots - 1) {}

    /// `block`: the calling thread's, or null. Bounded: at most three times the longest probe, plus eight restarts.
    Look find(const HashedKey& key, ThreadBlock* block, std::int64_t now_ns) const;

private:
    enum class Probed : std::uint8_t { found, none, changed };
    Probed probe(const HashedKey& key, ThreadBlock* block, Look& look) const;
    Look probe_again(const HashedKey& key, ThreadBlock* block, bool damaged) const;
    Probed take(const HashedKey& key, const Word64& slot, std::uint64_t word, ThreadBlock* block, Look& look) const;
    struct Taken {
        Probed probed;
        bool damaged;
        char* copy;
    };
    Taken take_copy(const HashedKey& key, const Word64& slot, std::uint64_t word) const;
    static bool refuse(const Record& record, std::uint64_t room, Word64& cell);
    Verdict judge(Record& record, std::int64_t now_ns) const;

    SegmentView view_;
    Fences fences_;
    SourceSync sync_;
    std::uint64_t arenas_at_, arenas_end_;
    const Word64* directories_;
    std::uint32_t shards_, mask_;
};

/// Ends the pin, or frees the copy. Any thread.
void release(Look& look) noexcept;

// The way of a hit, inline: what a lookup does besides is in lookup.cpp.

[[gnu::always_inline]] inline Lookup::Probed Lookup::probe(const HashedKey& key, ThreadBlock* block, Look& look) const {
    constexpr std::uint32_t kRestarts = 8;  // when slots change under it
    const Word64* const slots = directories_ + std::size_t{shard_of(key.hash, shards_)} * (mask_ + std::size_t{1});
    const std::uint32_t tag = tag_of(key.hash);
    std::uint32_t restarts = 0;
    std::uint32_t index = static_cast<std::uint32_t>(key.hash) & mask_;
    for (std::uint32_t step = 0; step < kMaxProbe; ++step, index = (index + 1) & mask_) {
        const std::uint64_t word = slots[index].load(std::memory_order_relaxed);
        if (word == 0) return Probed::none;
        if (slot_tag(word) != tag) continue;
        const Probed taken = take(key, slots[index], word, block, look);
        if (taken == Probed::found) [[likely]]
            return taken;
        if (taken == Probed::none) continue;  // another key with this tag
        if (++restarts > kRestarts) return Probed::changed;
        index = (static_cast<std::uint32_t>(key.hash) - 1) & mask_;  // the key may have been shifted back past us
        step = ~std::uint32_t{0};
    }
    return Probed::none;
}

[[gnu::always_inline]] inline Word64* free_cell(ThreadBlock* block) {
    if (block == nullptr) [[unlikely]]
        return nullptr;
    for (Word64& cell : block->cells)
        if (cell.load(std::memory_order_acquire) == 0) return &cell;
    return nullptr;
}

[[gnu::always_inline]] inline Lookup::Probed Lookup::take(const HashedKey& key, const Word64& slot, std::uint64_t word,
                                                          ThreadBlock* block, Look& look) const {
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    Record* const record = view_.at<Record>(offset);
    __builtin_prefetch(&record->hash);
    __builtin_prefetch(record + 1);
    Word64* const cell = free_cell(block);
    if (offset < arenas_at_ || offset + sizeof(Record) > arenas_end_ || cell == nullptr) [[unlikely]] {
        const Taken taken = take_copy(key, slot, word);
        look.damaged |= taken.damaged;
        look.copy = taken.copy;
        look.record = reinterpret_cast<Record*>(taken.copy);
        if (look.record != nullptr) look.value = value_of(*look.record);
        return taken.probed;
    }
    LARDER_CRASH_POINT("lookup.loaded");
    // Publish, then re-check, both seq_cst: a writer that unlinks, fences and then reads the cells either is seen here
    // by the re-check, or sees the cell.
    cell->exchange(slot_units(word), std::memory_order_seq_cst);
    if (slot.load(std::memory_order_seq_cst) != word) [[unlikely]] {
        cell->store(0, std::memory_order_release);
        return Probed::changed;
    }
    const std::uint64_t room = arenas_end_ - offset;
    const std::string_view value = fitting_value(*record, key.text.size(), room);
    if (record->hash != key.hash || value.data() == nullptr || !same_bytes(key_of(*record).data(), key.text))
        [[unlikely]] {
        look.damaged |= refuse(*record, room, *cell);
        return Probed::none;
    }
    look.record = record;
    look.value = value;
    look.cell = cell;
    return Probed::found;
}

[[gnu::always_inline]] inline Verdict Lookup::judge(Record& record, std::int64_t now_ns) const {
    // The last look at the source is read before `applied`, which stands for all that the look led to; `applied` before
    // the fences that it stands for.
    const std::int64_t synced_ns = sync_.last_ns();
    LARDER_CRASH_POINT("lookup.judging");
    if (!fences_.alive(record, fences_.load_applied())) [[unlikely]]
        return Verdict::invalidated;
    if (now_ns >= record.expires_ns) [[unlikely]]
        return Verdict::expired;
    if ((record.flags & (kNegative | kBacked)) != 0) {
        if (sync_.is_late(record, synced_ns, now_ns)) [[unlikely]]
            return Verdict::late;
        if ((record.flags & kNegative) != 0) return Verdict::negative;
    }
    return now_ns >= record.soft_expires_ns ? Verdict::stale : Verdict::live;
}

[[gnu::always_inline]] inline Look Lookup::find(const HashedKey& key, ThreadBlock* block, std::int64_t now_ns) const {
    Look look;
    if (probe(key, block, look) != Probed::found) [[unlikely]] {
        look = probe_again(key, block, look.damaged);
        if (look.record == nullptr) return look;
    }
    look.verdict = judge(*look.record, now_ns);
    return look;
}

}  // namespace larder::shm
