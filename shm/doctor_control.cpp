// The doctor's look at control data: what no writer would have left there.
#include <algorithm>
#include <limits>
#include <string>

#include "shm/arena.hpp"
#include "shm/doctor.hpp"
#include "shm/elapsed.hpp"
#include "shm/inspector.hpp"
#include "shm/key_table.hpp"
#include "shm/process.hpp"
#include "shm/record_copy.hpp"
#include "shm/robust_mutex.hpp"

namespace larder::shm {
namespace {

constexpr std::int64_t kFarNs = 60'000'000'000;  // ahead of now: no process means to wait so long
constexpr std::uint32_t kLeaseSlots = kLeaseLocks * kLeasesPerLock;
constexpr const char* kRemedy = "Remove the cache when it can be done without (`larder rm --force`); it is made anew.";

std::string number(std::uint64_t value) { return std::to_string(value); }

class ControlCheck {
public:
    ControlCheck(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings)
        : view_(view), geometry_(*view.geometry), examination_(examination), findings_(findings) {}

    void run() {
        header();
        fences();
        registry();
        leases();
        keys();
        for (std::uint32_t i = 0; i < geometry_.shards; ++i) shard(i);
        for (std::uint32_t i = 0; i < geometry_.arenas; ++i) arena(i);
    }

private:
    void report(const char* name, const std::string& what, Severity severity = Severity::error) {
        findings_.push_back({name, severity, what, kRemedy});
    }
    bool is_far(const Time64& time) const {
        return elapsed_ns(examination_.now_ns, time.load(std::memory_order_relaxed)) > kFarNs;
    }
    /// Looks again before it is believed: others may have been half-way.
    template <class Wrong>
    bool stays(const Wrong& wrong) const {
        if (!wrong()) return false;
        pause(examination_, 1'000'000);
        return wrong();
    }

    void header() {
        const SegmentHeader& header = view_.header();
        if (is_far(header.open_at_ns)) report("never_opens", "The segment says that it takes no values for long.");
        if (is_far(header.tend_due_ns))
            report("never_tended", "Nobody will give back what dead processes held, for long.");
        if (header.registry_high.load(std::memory_order_relaxed) > kProcesses)
            report("registry_damaged", "The registry says that it is larger than it is.");
        if (header.identity_claimed.load(std::memory_order_relaxed) > 2)
            report("identity_damaged", "What the cache serves is not readable.");
        if (elapsed_ns(examination_.now_ns, header.created_ns) > kFarNs)
            report("created_later", "The segment says that it was made later than now.");
    }

    /// No fence is above the number that was given out last; that one is read after them.
    void fences() {
        const Word64* const words = view_.fences();
        std::uint64_t highest = 0;
        for (std::uint32_t i = 0; i < kFences; ++i)
            highest = std::max(highest, words[i].load(std::memory_order_relaxed));
        const std::uint64_t everything = view_.header().everything.load(std::memory_order_relaxed);
        if (everything != std::numeric_limits<std::uint64_t>::max()) highest = std::max(highest, everything);
        std::atomic_thread_fence(std::memory_order_acquire);
        const std::uint64_t given = view_.header().notice_number.load(std::memory_order_acquire);
        if (highest > given)
            report("fence_ahead", "A fence is at notice " + number(highest) + ", of which " + number(given) +
                                      " were given out: what depends on it is not kept.");
    }

    void registry() {
        const std::uint32_t high = std::min(view_.header().registry_high.load(std::memory_order_acquire), kProcesses);
        for (std::uint32_t slot = 0; slot < high; ++slot) {
            const ProcessSlot& process = view_.process(slot);
            const std::uint32_t state = process.state.load(std::memory_order_acquire);
            const bool live = state == static_cast<std::uint32_t>(SlotState::live);
            const bool nobody = live && (process.pid.load(std::memory_order_relaxed) == 0 ||
                                         process.incarnation.load(std::memory_order_relaxed) == 0);
            if (state > static_cast<std::uint32_t>(SlotState::live) || nobody ||
                process.blocks_high.load(std::memory_order_relaxed) > kThreadBlocks)
                report("registry_damaged", "Slot " + number(slot) + " of the registry has no process's state.");
            for (std::uint32_t block = 0; block < kThreadBlocks; ++block)
                if (const ThreadBlock& threads = view_.threads(slot)[block]; !is_sound(threads))
                    report("pins_damaged", "Thread " + number(block) + " of slot " + number(slot) +
                                               " is in no shard, or has pins where no record can be.");
        }
    }

    bool is_sound(const ThreadBlock& threads) const {
        const std::uint32_t inside = threads.inside.load(std::memory_order_relaxed) & ~kRebuilding;
        return inside <= geometry_.shards &&
               std::all_of(std::begin(threads.cells), std::end(threads.cells), [this](const Word64& cell) {
                   const std::uint64_t units = cell.load();
                   return units == 0 || names_record(units);
               });
    }
    bool names_record(std::uint64_t units) const {
        return units <= std::numeric_limits<std::uint32_t>::max() && record_room(geometry_, units * kUnitBytes) != 0;
    }

    void leases() {
        for (std::uint32_t i = 0; i < kLeaseLocks; ++i)
            if (!robust_mutex::is_sound(view_.leases(i).mutex))
                report("lock_damaged", "The lock of lease group " + number(i) + " is none.");
        for (std::uint32_t i = 0; i < kLeaseSlots; ++i) {
            const LeaseSlot& slot = view_.leases(i / kLeasesPerLock).slots[i % kLeasesPerLock];
            const std::uint32_t state = slot.state.load(std::memory_order_acquire);
            const bool nobodys = state == static_cast<std::uint32_t>(LeaseState::held) &&
                                 slot.holder.load(std::memory_order_relaxed) >= kProcesses;
            if (state > static_cast<std::uint32_t>(LeaseState::abandoned) || nobodys)
                report("lease_damaged", "Lease " + number(i) + " is in no state that leases have.", Severity::warning);
        }
    }

    /// Every key is where it would be looked for.
    void keys() {
        const KeyTable table(view_);
        std::uint64_t misplaced = 0;
        for (std::uint32_t i = 0; i < table.size(); ++i) {
            const KeyEntry& entry = view_.key_entry(i);
            const std::uint64_t hash = entry.key_hash.load(std::memory_order_acquire);
            const auto shard = static_cast<std::uint32_t>(i / (table.size() / geometry_.shards));
            if (hash != 0 && (table.find(hash, shard) != i || entry.fate.load() > std::uint32_t{4})) ++misplaced;
        }
        if (misplaced != 0)
            report("keys_damaged", number(misplaced) + " keys' counts are not where they are looked for.",
                   Severity::warning);
    }

    void shard(std::uint32_t i) {
        const Shard& shard = view_.shard(i);
        if (!robust_mutex::is_sound(shard.mutex))
            report("lock_damaged", "The lock of shard " + number(i) + " is none: puts to it are `busy`.");
        const auto lost = [&shard] { return robust_mutex::is_held_by_nobody(shard.mutex); };
        if (stays(lost))
            report("lock_lost", "The lock of shard " + number(i) +
                                    " is held by a thread that does not exist: puts to "
                                    "it are `busy`.");
        const auto busy = [&shard] { return shard.mutating.load() != 0 || shard.closed.load() != 0; };
        if (stays([&] { return !busy() && shard.arena.load() < geometry_.arenas && !is_sound(shard); }))
            report("shard_damaged", "Shard " + number(i) + " contradicts itself: the next writer empties it.");
    }

    bool is_sound(const Shard& shard) const {
        const std::uint32_t arena = shard.arena.load(std::memory_order_acquire);
        return is_sound_arena(view_, arena) && has_sound_lists(view_, shard) &&
               shard.payload_bytes.load(std::memory_order_relaxed) <= geometry_.arena_bytes &&
               shard.arena_used_bytes.load(std::memory_order_relaxed) <= geometry_.arena_bytes;
    }

    void arena(std::uint32_t i) {
        const auto wrong = [&] {
            const std::uint64_t state = view_.arena_state(i).word.load(std::memory_order_acquire);
            if (arena_kind(state) > ArenaKind::pinned || arena_shard(state) >= geometry_.shards) return true;
            if (arena_kind(state) != ArenaKind::owned) return false;
            const Shard& owner = view_.shard(arena_shard(state));
            return owner.mutating.load() == 0 && owner.arena.load(std::memory_order_acquire) != i;
        };
        if (stays(wrong)) report("arena_state", "Arena " + number(i) + " is nobody's, and no spare.");
    }

    const SegmentView& view_;
    const Geometry& geometry_;
    const Examination& examination_;
    std::vector<Finding>& findings_;
};

}  // namespace

void examine_control(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings) {
    ControlCheck(view, examination, findings).run();
}

}  // namespace larder::shm
