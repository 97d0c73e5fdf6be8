#include "shm/lookup.hpp"

#include <memory>
#include <new>

#include "shm/record_copy.hpp"

namespace larder::shm {
namespace {

constexpr std::uint32_t kMissTries = 3;
constexpr std::uint32_t kCopyTries = 4;

}  // namespace

void release(Look& look) noexcept {
    if (look.cell != nullptr) look.cell->store(0, std::memory_order_release);
    delete[] look.copy;
    look.cell = nullptr;
    look.copy = nullptr;
    look.record = nullptr;
}

/// A miss is believed after a probe between two equal even readings: then no slot was shifted past it.
Look Lookup::probe_again(const HashedKey& key, ThreadBlock* block, bool damaged) const {
    Look look;
    look.damaged = damaged;
    const Word64& moves = view_.shard(shard_of(key.hash, shards_)).moves;
    for (std::uint32_t n = 0; n < kMissTries; ++n) {
        const std::uint64_t before = moves.load(std::memory_order_acquire);
        const Probed probed = probe(key, block, look);
        if (probed == Probed::found) return look;
        std::atomic_thread_fence(std::memory_order_acquire);
        if (probed == Probed::none && before % 2 == 0 && moves.load(std::memory_order_relaxed) == before) {
            look.verdict = Verdict::absent;
            return look;
        }
    }
    look.verdict = Verdict::contended;
    return look;
}

/// Lets go of another key's record. True: it is a damaged one.
bool Lookup::refuse(const Record& record, std::uint64_t room, Word64& cell) {
    const bool damaged = !record_fits(record, room);
    cell.store(0, std::memory_order_release);
    return damaged;
}

/// Without a free cell; and what lies outside the arenas is found out here.
Lookup::Taken Lookup::take_copy(const HashedKey& key, const Word64& slot, std::uint64_t word) const {
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    const std::uint64_t room = record_room(*view_.geometry, offset);
    if (room == 0) return {Probed::none, true, nullptr};
    const std::byte* const shared = view_.base + offset;
    for (std::uint32_t n = 0; n < kCopyTries; ++n) {
        alignas(Record) char head[sizeof(Record)];
        copy_words(shared, head, sizeof head);
        const Record& fixed = *reinterpret_cast<const Record*>(head);
        const bool fits = record_fits(fixed, room);
        const bool same = fits && fixed.hash == key.hash;
        const std::uint64_t bytes = same ? shape_of(fixed).total() : 0;
        std::unique_ptr<char[]> copy(same ? new (std::nothrow) char[bytes + 8] : nullptr);
        if (copy != nullptr) copy_words(shared, copy.get(), bytes);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot.load(std::memory_order_relaxed) != word) return {Probed::changed, false, nullptr};
        if (copy == nullptr) return {Probed::none, !fits, nullptr};
        const Record* const record = reinterpret_cast<const Record*>(copy.get());
        if (record->id != fixed.id || !record_fits(*record, bytes)) continue;
        if (key_of(*record) != key.text) return {Probed::none, false, nullptr};
        return {Probed::found, false, copy.release()};
    }
    return {Probed::changed, false, nullptr};
}

}  // namespace larder::shm
