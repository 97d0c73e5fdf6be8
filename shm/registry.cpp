#include "shm/registry.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "shm/process.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

void raise(Word32& word, std::uint32_t least) {
    std::uint32_t now = word.load(std::memory_order_relaxed);
    while (now < least && !word.compare_exchange_weak(now, least, std::memory_order_seq_cst)) {}
}

/// Who has a slot: process, program, and copy of this library (a program and its plugins may each have one, with locks
/// and lock files of their own).
struct Claimer {
    static constexpr int kStartShift = 22, kProgramShift = 32, kCopyShift = 48;  // a pid has at most 22 bits

    std::uint32_t pid;
    std::uint32_t start;  // some bits of its start time, 0: unknown
    std::uint32_t program, copy;

    explicit Claimer(std::uint64_t word)
        : pid(bits(word, 0, kStartShift)),
          start(bits(word, kStartShift, kProgramShift)),
          program(bits(word, kProgramShift, kCopyShift)),
          copy(bits(word, kCopyShift, 64)) {}
    static std::uint32_t bits(std::uint64_t word, int from, int to) {
        return static_cast<std::uint32_t>(word << (64 - to) >> (64 - to + from));
    }
    static std::uint64_t start_of(std::uint64_t ticks) { return ticks == 0 ? 0 : 1 + ticks % 1023; }

    bool is_in_this_program() const {
        const Claimer own(own_word());
        return pid == own.pid && program == own.program && (start == own.start || start == 0 || own.start == 0);
    }
    /// REQUIRES: is_in_this_program.
    bool is_this_copy() const { return copy == Claimer(own_word()).copy; }
    /// What cannot be read lives.
    bool is_gone() const {
        const process::Status status = process::status_of(pid);
        if (status.gone) return true;
        return status.readable &&
               ((start != 0 && start_of(status.start_ticks) != start) || status.is_zombie_without_threads());
    }

    static std::uint64_t own_word() {
        static const char copy = 0;
        const std::uint64_t mixed = reinterpret_cast<std::uintptr_t>(&copy) * 0x9e3779b97f4a7c15ULL;
        return mixed >> kCopyShift << kCopyShift | (system::program_id() & 0xFFFF) << kProgramShift |
               start_of(process::self().start_ticks) << kStartShift | system::process_id();
    }
};

/// Nobody is at work under that word, or on its way: what another program of this process left is this one's.
bool is_claimable(std::uint64_t word) {
    if (word == 0) return true;
    const Claimer claimer(word);
    if (claimer.pid != system::process_id()) return claimer.is_gone();
    return !claimer.is_in_this_program() || claimer.is_this_copy();
}

template <std::size_t N>
void copy_text(char (&into)[N], const std::string& text) {
    std::memset(into, 0, N);
    std::memcpy(into, text.data(), std::min(text.size(), N - 1));
}

/// By pid and start time alone; what cannot be read lives.
bool is_process_dead(std::uint32_t pid, std::uint64_t start_ticks) {
    if (pid == 0) return true;
    const process::Status status = process::status_of(pid);
    if (status.gone) return true;
    if (!status.readable) return false;
    return status.start_ticks != start_ticks || status.is_zombie_without_threads();
}

bool is_process_dead(const ProcessSlot& process) {
    return is_process_dead(process.pid.load(std::memory_order_acquire),
                           process.start_ticks.load(std::memory_order_relaxed));
}

}  // namespace

bool Registry::is_own(const ProcessSlot& process) {
    const std::uint32_t pid = process.pid.load(std::memory_order_acquire);
    if (pid == 0 || pid != system::process_id()) return false;  // most slots are free: no system call for those
    const std::uint64_t own = process::self().start_ticks;
    return own == 0 || process.start_ticks.load(std::memory_order_relaxed) == own;
}

/// Of this process, but by the program that it ran before: nobody else can clean that.
bool Registry::is_left_by_exec(const ProcessSlot& process) {
    return is_own(process) && !Claimer(process.claimed_by.load(std::memory_order_acquire)).is_in_this_program();
}

std::optional<Registration> Registry::claim(const std::string& role) {
    if (lock_file_ == nullptr) return occupy(0, role);
    const std::uint32_t held = lock_file_->held_slot();  // its byte serves a replaced segment of this name too
    if (held < kProcesses && seize(held)) return occupy(held, role);
    for (const bool left : {true, false}) {
        for (std::uint32_t slot = 0; slot < kProcesses; ++slot) {
            if (is_left_by_exec(view_.process(slot)) != left || lock_file_->holds(slot)) continue;
            if (seize(slot)) return occupy(slot, role);
        }
    }
    return std::nullopt;
}

/// Makes the slot of nobody, or of one that is dead, this copy's: its word, then its byte. The byte alone would not do:
/// to the kernel it is all copies' of a process. Whoever else seized the slot after the word was read has changed it.
std::optional<std::uint64_t> Registry::seize(std::uint32_t slot) {
    ProcessSlot& process = view_.process(slot);
    std::uint64_t before = process.claimed_by.load(std::memory_order_acquire);
    if ((!is_own(process) && !dead_for_pins(slot)) || !is_claimable(before)) return std::nullopt;
    if (!process.claimed_by.compare_exchange_strong(before, Claimer::own_word(), std::memory_order_acq_rel))
        return std::nullopt;
    LARDER_CRASH_POINT("registry.seized");
    if (lock_file_->take(slot)) return before;
    process.claimed_by.store(before, std::memory_order_release);
    return std::nullopt;
}

/// The word last: while it is this copy's, no other copy relies on the byte.
void Registry::give_back(std::uint32_t slot, std::uint64_t word) {
    lock_file_->drop(slot);
    LARDER_CRASH_POINT("registry.dropped");
    view_.process(slot).claimed_by.store(word, std::memory_order_release);
}

/// REQUIRES: the slot is seized.
Registration Registry::occupy(std::uint32_t slot, const std::string& role) {
    ProcessSlot& process = view_.process(slot);
    process.state.store(static_cast<std::uint32_t>(SlotState::claiming), std::memory_order_release);
    LARDER_CRASH_POINT("registry.claiming");
    clear_blocks(slot);
    LARDER_CRASH_POINT("registry.cleared");
    const std::uint64_t incarnation = process.incarnation.load(std::memory_order_relaxed) + 1;
    process.incarnation.store(incarnation, std::memory_order_release);
    process.start_ticks.store(process::self().start_ticks, std::memory_order_relaxed);
    process.pid.store(system::process_id(), std::memory_order_release);
    LARDER_CRASH_POINT("registry.named");
    process.attached_ns.store(system::coarse_ns(), std::memory_order_relaxed);
    copy_text(process.role, role);
    copy_text(process.name, system::program_name());
    raise(view_.header().registry_high, slot + 1);  // before the first pin; pairs with the fence of a scan
    process.state.store(static_cast<std::uint32_t>(SlotState::live), std::memory_order_seq_cst);
    LARDER_CRASH_POINT("registry.live");
    return Registration{slot, incarnation};
}

void Registry::clear_blocks(std::uint32_t slot) {
    ThreadBlock* blocks = view_.threads(slot);
    for (std::uint32_t block = 0; block < kThreadBlocks; ++block) {
        for (Word64& cell : blocks[block].cells) cell.store(0, std::memory_order_release);
        blocks[block].inside.store(0, std::memory_order_relaxed);
        blocks[block].owner.store(0, std::memory_order_release);
        LARDER_CRASH_POINT("registry.block");
    }
}

bool Registry::dead_for_pins(std::uint32_t slot) const {
    const ProcessSlot& process = view_.process(slot);
    if (lock_file_ == nullptr || is_own(process)) return false;
    return !lock_file_->held_by_other(slot) && is_process_dead(process);
}

bool Registry::dead_for_leases(std::uint32_t slot, std::uint64_t incarnation) const {
    if (slot >= kProcesses) return true;
    const ProcessSlot& process = view_.process(slot);
    if (process.incarnation.load(std::memory_order_acquire) != incarnation) return true;
    if (process.state.load(std::memory_order_acquire) != static_cast<std::uint32_t>(SlotState::live)) return true;
    if (lock_file_ == nullptr) return false;
    if (is_own(process)) return is_left_by_exec(process);
    if (!lock_file_->held_by_other(slot)) return true;
    const process::Status status = process::status_of(process.pid.load(std::memory_order_acquire));
    if (!status.readable) return status.gone;
    return status.start_ticks != process.start_ticks.load(std::memory_order_relaxed) ||
           status.is_zombie_without_threads() || status.is_exiting();
}

bool Registry::reap(std::uint32_t slot) {
    const ProcessSlot& process = view_.process(slot);
    if (lock_file_ == nullptr || process.state.load(std::memory_order_acquire) == 0) return false;
    if (lock_file_->holds(slot) || is_own(process)) return false;
    const std::optional<std::uint64_t> before = seize(slot);
    if (!before) return false;
    // With another lock file under the same name the byte proves nothing about who writes the slot.
    const bool cleans = lock_file_->is_current();
    if (cleans) clean(slot);
    give_back(slot, cleans ? 0 : *before);
    return cleans;
}

/// REQUIRES: the slot is seized.
void Registry::clean(std::uint32_t slot) {
    ProcessSlot& process = view_.process(slot);
    LARDER_CRASH_POINT("registry.reaping");
    clear_blocks(slot);
    LARDER_CRASH_POINT("registry.reaped");
    process.pid.store(0, std::memory_order_release);
    LARDER_CRASH_POINT("registry.nameless");
    process.start_ticks.store(0, std::memory_order_relaxed);
    process.state.store(static_cast<std::uint32_t>(SlotState::free), std::memory_order_release);
    LARDER_CRASH_POINT("registry.free");
}

std::uint32_t Registry::reap_some(std::uint32_t& cursor, std::uint32_t most) {
    const std::uint32_t high = std::min(view_.header().registry_high.load(std::memory_order_acquire), kProcesses);
    std::uint32_t cleaned = 0;
    for (std::uint32_t looked = 0; looked < std::min(most, high); ++looked) {
        cursor = cursor + 1 < high ? cursor + 1 : 0;
        cleaned += reap(cursor) ? 1 : 0;
    }
    return cleaned;
}

PinScan::PinScan(const SegmentView& view, const Registry& registry) : registry_(registry) {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // pairs with the readers' exchange and seq_cst re-check
    collect(view);
    std::sort(pins_, pins_ + count_, [](const Pin& a, const Pin& b) { return a.units < b.units; });
}

void PinScan::collect(const SegmentView& view) {
    const std::uint32_t high = std::min(view.header().registry_high.load(std::memory_order_seq_cst), kProcesses);
    for (std::uint32_t slot = 0; slot < high; ++slot) {
        const Word32& blocks_high = view.process(slot).blocks_high;
        const std::uint32_t blocks = std::min(blocks_high.load(std::memory_order_seq_cst), kThreadBlocks);
        for (std::uint32_t block = 0; block < blocks; ++block) {
            for (const Word64& cell : view.threads(slot)[block].cells)
                if (const std::uint64_t units = cell.load(std::memory_order_acquire)) add({units, slot});
        }
    }
}

void PinScan::add(Pin pin) {
    if (count_ == kInline && !overflow_) {
        more_.reset(new (std::nothrow) Pin[kMost]);
        overflow_ = more_ == nullptr;
        if (!overflow_) pins_ = std::copy(inline_.begin(), inline_.end(), more_.get()) - kInline;
    }
    if (!overflow_) pins_[count_++] = pin;
}

bool PinScan::alive(std::uint32_t slot) {
    std::uint8_t& verdict = verdicts_[slot];
    if (verdict == 0) verdict = registry_.dead_for_pins(slot) ? 2 : 1;
    return verdict == 1;
}

bool PinScan::any_between(std::uint64_t first, std::uint64_t last) {
    if (overflow_) return true;
    const Pin* end = pins_ + count_;
    const Pin* pin =
        std::lower_bound(pins_, pins_ + count_, first, [](const Pin& a, std::uint64_t b) { return a.units < b; });
    for (; pin != end && pin->units < last; ++pin)
        if (alive(pin->slot)) return true;
    return false;
}

bool PinScan::pinned(std::uint64_t units) { return any_between(units, units + 1); }

}  // namespace larder::shm
