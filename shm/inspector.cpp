#include "shm/inspector.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "shm/process.hpp"

namespace larder::shm {
namespace {

/// Text of a fixed field that another process may be writing: cut at its end, never read past it.
std::string text_of(const char* field, std::size_t size) {
    std::string copy(field, size);
    return copy.substr(0, copy.find('\0'));
}

bool is_alive(std::uint32_t pid, std::uint64_t start_ticks) {
    const process::Status status = process::status_of(pid);
    if (status.gone) return false;
    return !status.readable || (status.start_ticks == start_ticks && !status.is_zombie_without_threads());
}

void read_threads(const SegmentView& view, std::uint32_t blocks, ProcessFacts& facts) {
    const ThreadBlock* const threads = view.threads(facts.slot);
    for (std::uint32_t i = 0; i < std::min(blocks, kThreadBlocks); ++i) {
        if (threads[i].owner.load(std::memory_order_relaxed) != 0) ++facts.threads;
        const std::uint32_t inside = threads[i].inside.load(std::memory_order_relaxed);
        if (inside != 0) {
            facts.inside = (inside & ~kRebuilding) - 1;
            facts.rebuilding = (inside & kRebuilding) != 0;
        }
        for (const Word64& cell : threads[i].cells)
            if (const std::uint64_t units = cell.load(std::memory_order_relaxed); units != 0)
                facts.pins.push_back(units * kUnitBytes);
    }
}

/// A mark counts only if its number is the same before and after; 0: being written.
NoticeFacts read_notice(const NoticeMark& mark) {
    NoticeFacts facts;
    const std::uint64_t number = mark.number.load(std::memory_order_acquire);
    facts.at_ns = mark.at_ns.load(std::memory_order_relaxed);
    facts.kind = static_cast<FenceKind>(std::min<std::uint32_t>(mark.kind.load(std::memory_order_relaxed), 3));
    const std::uint32_t bytes = mark.text_bytes.load(std::memory_order_relaxed);
    std::array<std::uint64_t, sizeof mark.text / sizeof(Word64)> words;
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = mark.text[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);  // pairs with the writer's release of `number`
    if (mark.number.load(std::memory_order_relaxed) != number) return {};
    facts.text.assign(reinterpret_cast<const char*>(words.data()), std::min<std::size_t>(bytes, sizeof words));
    facts.cut = bytes > sizeof words;
    facts.number = number;
    return facts;
}

}  // namespace

std::vector<ProcessFacts> read_processes(const SegmentView& view) {
    std::vector<ProcessFacts> processes;
    const std::uint32_t high = std::min(view.header().registry_high.load(std::memory_order_acquire), kProcesses);
    for (std::uint32_t slot = 0; slot < high; ++slot) {
        const ProcessSlot& process = view.process(slot);
        if (process.state.load(std::memory_order_acquire) != static_cast<std::uint32_t>(SlotState::live)) continue;
        ProcessFacts facts;
        facts.slot = slot;
        facts.pid = process.pid.load(std::memory_order_relaxed);
        facts.start_ticks = process.start_ticks.load(std::memory_order_relaxed);
        facts.incarnation = process.incarnation.load(std::memory_order_relaxed);
        facts.attached_ns = process.attached_ns.load(std::memory_order_relaxed);
        facts.role = text_of(process.role, sizeof process.role);
        facts.name = text_of(process.name, sizeof process.name);
        facts.alive = is_alive(facts.pid, facts.start_ticks);
        read_threads(view, process.blocks_high.load(std::memory_order_acquire), facts);
        processes.push_back(std::move(facts));
    }
    return processes;
}

std::vector<LeaseFacts> read_leases(const SegmentView& view) {
    std::vector<LeaseFacts> leases;
    for (std::uint32_t i = 0; i < kLeaseLocks * kLeasesPerLock; ++i) {
        const LeaseSlot& slot = view.leases(i / kLeasesPerLock).slots[i % kLeasesPerLock];
        const std::uint32_t state = slot.state.load(std::memory_order_acquire);
        if (state == 0 || state > static_cast<std::uint32_t>(LeaseState::abandoned)) continue;
        leases.push_back(
            {i, slot.key_hash.load(std::memory_order_relaxed), static_cast<LeaseState>(state),
             slot.holder.load(std::memory_order_relaxed), slot.holder_incarnation.load(std::memory_order_relaxed),
             slot.waiters.load(std::memory_order_relaxed), slot.deadline_ns.load(std::memory_order_relaxed),
             slot.changed_ns.load(std::memory_order_relaxed)});
    }
    return leases;
}

ShardFacts read_shard(const SegmentView& view, std::uint32_t index) {
    const Shard& shard = view.shard(index);
    ShardFacts facts;
    facts.shard = index;
    facts.entries = shard.entries.load(std::memory_order_relaxed);
    facts.payload_bytes = shard.payload_bytes.load(std::memory_order_relaxed);
    facts.arena_used_bytes = shard.arena_used_bytes.load(std::memory_order_relaxed);
    facts.rebuilds = shard.rebuilds.load(std::memory_order_relaxed);
    facts.evictions = shard.evictions.load(std::memory_order_relaxed);
    facts.expirations = shard.expirations.load(std::memory_order_relaxed);
    facts.moves = shard.moves.load(std::memory_order_relaxed);
    facts.arena = shard.arena.load(std::memory_order_relaxed);
    facts.mutating = shard.mutating.load(std::memory_order_relaxed) != 0;
    facts.closed = shard.closed.load(std::memory_order_relaxed) != 0;
    return facts;
}

Gauges read_gauges(const SegmentView& view) {
    Gauges gauges;
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        const ShardFacts shard = read_shard(view, i);
        gauges.entries += shard.entries;
        gauges.payload_bytes += shard.payload_bytes;
        gauges.arena_used_bytes += shard.arena_used_bytes;
    }
    gauges.arena_bytes = view.geometry->shards * (view.geometry->arena_bytes - view.geometry->node_bytes);
    return gauges;
}

std::vector<ArenaFacts> read_arenas(const SegmentView& view) {
    std::vector<ArenaFacts> arenas;
    for (std::uint32_t i = 0; i < view.geometry->arenas; ++i) {
        const std::uint64_t state = view.arena_state(i).word.load(std::memory_order_acquire);
        arenas.push_back({i, arena_kind(state), arena_shard(state), arena_changes(state)});
    }
    return arenas;
}

std::vector<NoticeFacts> read_notices(const SegmentView& view) {
    std::vector<NoticeFacts> notices;
    for (const NoticeMark& mark : view.header().notices)
        if (NoticeFacts facts = read_notice(mark); facts.number != 0) notices.push_back(std::move(facts));
    std::sort(notices.begin(), notices.end(),
              [](const NoticeFacts& a, const NoticeFacts& b) { return a.number < b.number; });
    return notices;
}

LabelFacts read_label(const SegmentView& view, std::uint32_t counter) {
    if (counter >= kThreadCounters) return {};
    const CounterLabel& label = view.header().labels[counter];
    return {text_of(label.name, sizeof label.name), text_of(label.meaning, sizeof label.meaning)};
}

std::string read_identity(const SegmentView& view) {
    const SegmentHeader& header = view.header();
    return header.identity_claimed.load(std::memory_order_acquire) == 2
               ? text_of(header.identity, sizeof header.identity)
               : std::string();
}

std::string_view name_of(FenceKind kind) {
    switch (kind) {
    case FenceKind::key:
        return "key";
    case FenceKind::tag:
        return "tag";
    case FenceKind::name_space:
        return "namespace";
    case FenceKind::everything:
        return "everything";
    }
    return "key";
}

}  // namespace larder::shm
