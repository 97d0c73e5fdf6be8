// The directory of a shard: a flat table with linear probing that readers walk without a lock.
//
// A slot is one atomic word: the record's offset in units (32 bits), twelve bits of its key's hash, and the shard's
// count of publications (20 bits). 0 is empty. Writers hold the shard's lock. A new value for a key replaces the word
// in place; a deletion shifts the words behind it back (tombstones would let probes grow without end). Each store
// leaves every present key reachable, but a reader that passes a shift may miss one: a miss is believed only when the
// shard's `moves` was the same even number before and after the probe.
#pragma once

#include <cstdint>

#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/testing.hpp"

namespace larder::shm {

constexpr std::uint64_t slot_word(std::uint64_t units, std::uint32_t tag, std::uint64_t count) {
    return units << 32 | static_cast<std::uint64_t>(tag) << 20 | (count & 0xFFFFF);
}
constexpr std::uint64_t slot_units(std::uint64_t word) { return word >> 32; }
constexpr std::uint32_t slot_tag(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 20) & 0xFFF; }

class Directory {
public:
    static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

    Directory(Word64* slots, std::uint32_t count, Word64& moves) : slots_(slots), mask_(count - 1), moves_(&moves) {}

    std::uint32_t home(std::uint64_t hash) const { return static_cast<std::uint32_t>(hash) & mask_; }
    std::uint32_t next(std::uint32_t index) const { return (index + 1) & mask_; }
    std::uint32_t size() const { return mask_ + 1; }
    Word64& slot(std::uint32_t index) const { return slots_[index]; }

    // Below: REQUIRES the shard's lock, and `mutating` set.

    /// The slot that names this record, or kNone.
    std::uint32_t find(std::uint64_t hash, std::uint64_t units) const;
    /// A free slot for a key that is not there, or kNone when its probe would be too long.
    std::uint32_t find_free(std::uint64_t hash) const;
    /// Publishes; pairs with the reader's re-check.
    void publish(std::uint32_t index, std::uint64_t word) { slots_[index].store(word, std::memory_order_release); }
    /// Unlinks and shifts back what probed past it. home_of(word) gives the home slot of the record that a word names.
    template <class HomeOf>
    void erase(std::uint32_t index, HomeOf&& home_of);
    void clear();

private:
    Word64* slots_;
    std::uint32_t mask_;
    Word64* moves_;
};

template <class HomeOf>
void Directory::erase(std::uint32_t index, HomeOf&& home_of) {
    const auto word_at = [this](std::uint32_t i) { return slots_[i].load(std::memory_order_relaxed); };
    const bool shifts = word_at(next(index)) != 0;
    const std::uint64_t moves = moves_->load(std::memory_order_relaxed);
    if (shifts) {
        moves_->store(moves + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);  // odd before any shifted word
        LARDER_CRASH_POINT("directory.moving");
    }
    std::uint32_t hole = index, at = index;
    for (std::uint32_t step = 0; step <= mask_; ++step) {
        at = next(at);
        const std::uint64_t word = word_at(at);
        if (word == 0) break;
        // It may move back to the hole unless that lies before its home: then a probe from there would not pass it.
        if (((at - home_of(word)) & mask_) < ((at - hole) & mask_)) continue;
        slots_[hole].store(word, std::memory_order_release);
        LARDER_CRASH_POINT("directory.shifted");
        hole = at;
    }
    slots_[hole].store(0, std::memory_order_relaxed);
    LARDER_CRASH_POINT("directory.unlinked");
    if (shifts) moves_->store(moves + 2, std::memory_order_release);
}

}  // namespace larder::shm
