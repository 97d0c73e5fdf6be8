// Who is attached, and who of them is dead: one slot per process, its liveness a byte of the lock file that the kernel
// releases, confirmed by pid and start time.
//
// Invariants (protocol, section 2)
//  1. Whoever's word is in a slot's `claimed_by`, and nobody else of the segment, writes the slot and takes or drops
//     its byte. A reaper puts its own there first, and only where the one before is dead.
//  2. Cells are zero before a new owner's pid is written, and the high-water mark is raised before its first pin.
//  3. A scan reads cells first and asks about their owner afterwards.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shm/layout.hpp"
#include "shm/lock_file.hpp"

namespace larder::shm {

/// A process's slot. A slot lives as long as its process: there is no giving it back.
struct Registration {
    std::uint32_t slot = 0;
    std::uint64_t incarnation = 0;  // of the slot
};

/// Slots of one segment, as seen by this process. A value; safe to use from any thread but where said.
class Registry {
public:
    /// `lock_file` null: a segment of this process alone. The lock file lives for ever.
    Registry(const SegmentView& view, LockFile* lock_file) : view_(view), lock_file_(lock_file) {}

    /// Takes a slot for this process, or for this copy of the library in it (a program and its plugins may each have
    /// one, with locks of their own). nullopt: none is free. REQUIRES: process::Lock held.
    std::optional<Registration> claim(const std::string& role);

    /// For pins: byte free **and** pid gone, restarted, or a zombie without threads. Any doubt says alive.
    bool dead_for_pins(std::uint32_t slot) const;
    /// For leases: that incarnation's byte is free, or its process is gone or exiting. A doubt costs one computation.
    bool dead_for_leases(std::uint32_t slot, std::uint64_t incarnation) const;

    /// Cleans the slot of a dead process. False: not dead, or not ours to clean. REQUIRES: process::Lock held.
    bool reap(std::uint32_t slot);
    /// Looks at up to `most` slots from `cursor` on, round and round; returns how many were cleaned. REQUIRES: as reap.
    std::uint32_t reap_some(std::uint32_t& cursor, std::uint32_t most);

private:
    static bool is_own(const ProcessSlot& process);
    static bool is_left_by_exec(const ProcessSlot& process);
    /// The word that was there before.
    std::optional<std::uint64_t> seize(std::uint32_t slot);
    void give_back(std::uint32_t slot, std::uint64_t word);
    Registration occupy(std::uint32_t slot, const std::string& role);
    void clean(std::uint32_t slot);
    void clear_blocks(std::uint32_t slot);

    SegmentView view_;
    LockFile* lock_file_;
};

/// What all pin cells held at one moment after the caller's unlinking stores. Pins of dead processes do not count.
class PinScan {
public:
    /// REQUIRES: all stores that unlink what is asked about came before. Does the seq_cst fence that pairs with the
    /// readers' publish and re-check.
    PinScan(const SegmentView& view, const Registry& registry);

    /// Offsets in units.
    bool pinned(std::uint64_t units);
    /// A pin within [first, last).
    bool any_between(std::uint64_t first, std::uint64_t last);
    std::uint32_t count() const { return count_; }

private:
    struct Pin {
        std::uint64_t units;
        std::uint32_t slot;
    };
    static constexpr std::uint32_t kInline = 256;
    static constexpr std::uint32_t kMost = kProcesses * kThreadBlocks * kPinCells;

    void collect(const SegmentView& view);
    void add(Pin pin);
    bool alive(std::uint32_t slot);

    const Registry& registry_;
    std::array<Pin, kInline> inline_;
    std::unique_ptr<Pin[]> more_;  // when there are more than kInline
    Pin* pins_ = inline_.data();
    std::uint32_t count_ = 0;
    bool overflow_ = false;                            // no memory to remember them: everything counts as pinned
    std::array<std::uint8_t, kProcesses> verdicts_{};  // of this scan: 0 not asked, 1 alive, 2 dead
};

}  // namespace larder::shm
