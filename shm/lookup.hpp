// The read path: from a key to its record, pinned, without a lock, a wait, a copy or a system call.
//
// Probe the directory, publish the record's offset in a pin cell of this thread (a hazard pointer: M. Michael, Hazard
// Pointers, 2004), re-check that the slot still holds it, then compare the whole key. From the re-check to the store that
// empties the cell no writer frees the record. Every offset and length is checked before it is used; every retry is
// counted and ends as a miss. A thread without a free cell takes a copy, which counts only if the slot is unchanged after.
#pragma once

#include <cstdint>

#include "shm/directory.hpp"
#include "shm/fences.hpp"
#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/record.hpp"

namespace larder::shm {

enum class Verdict : std::uint8_t {
    live,
    stale,
    negative,
    expired,      // record there, past its ttl; fences let it pass
    invalidated,  // record there, overtaken by a notice
    absent,
    contended,  // not found, but it may be there: its shard moved on during every try
};

/// What a key led to. A plain value: whoever receives it empties the cell, or deletes the copy.
struct Look {
    Verdict verdict = Verdict::absent;
    Record* record = nullptr;  // pinned or copied; null when absent or contended
    Word64* cell = nullptr;    // that pins it
    char* copy = nullptr;      // new char[], the record itself being in it
    bool damaged = false;      // something on the way was not what a writer would have left there
};

class Lookup {
public:
    explicit Lookup(const SegmentView& view) : view_(view), fences_(view) {
        arenas_end_ = view.geometry->arenas_at + view.geometry->arenas * view.geometry->arena_bytes;
    }

    /// `block`: the calling thread's, or null. Bounded: at most three times the longest probe, plus eight restarts.
    Look find(const HashedKey& key, ThreadBlock* block, std::int64_t now_ns) const;

    const Fences& fences() const { return fences_; }

private:
    enum class Probed : std::uint8_t { found, none, changed };
    Probed probe(const HashedKey& key, std::uint32_t shard, ThreadBlock* block, Look& look) const;
    Probed take(const HashedKey& key, const Word64& slot, std::uint64_t word, ThreadBlock* block, Look& look) const;
    Probed take_copy(const HashedKey& key, const Word64& slot, std::uint64_t word, Look& look) const;
    Verdict judge(Record& record, std::int64_t now_ns) const;
    bool in_arenas(std::uint64_t offset) const {
        return offset >= view_.geometry->arenas_at && offset + sizeof(Record) <= arenas_end_;
    }

    SegmentView view_;
    Fences fences_;
    std::uint64_t arenas_end_;
};

/// Ends the pin, or frees the copy. Any thread.
void release(Look& look) noexcept;

}  // namespace larder::shm
