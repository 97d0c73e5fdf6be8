// Getting a shard's lock, and what is done when its last owner died inside a writing section.
#include "shm/arena.hpp"
#include "shm/mutation.hpp"
#include "shm/registry.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/shard.hpp"
#include "shm/testing.hpp"

namespace larder::shm {

ShardWriter::ShardWriter(const SegmentView& view, const Registry& registry, std::uint32_t shard, ThreadBlock* block,
                         std::int64_t now_ns)
    : view_(view),
      registry_(registry),
      shard_index_(shard),
      shard_(view.shard(shard)),
      directory_(view.directory(shard), view.geometry->directory_slots, shard_.moves),
      fences_(view),
      keys_(view),
      block_(block),
      now_ns_(now_ns) {}

bool ShardWriter::enter(std::chrono::nanoseconds budget) {
    const robust_mutex::Acquired got = robust_mutex::acquire(shard_.mutex, budget);
    if (!robust_mutex::is_held(got)) return false;
    entered_ = true;
    if (block_ != nullptr) block_->inside.store(1 + shard_index_, std::memory_order_relaxed);
    recover();
    // After EOWNERDEAD the only way out is consistent and unlock; were this process killed before, the next one hears
    // it again.
    if (got == robust_mutex::Acquired::owner_died) robust_mutex::mark_consistent(shard_.mutex);
    return true;
}

ShardWriter::~ShardWriter() {
    if (!entered_) return;
    if (shard_.closed.load(std::memory_order_relaxed) == 0)
        shard_.arena_used_bytes.store(Arena(arena_base(), *view_.geometry).used_bytes(), std::memory_order_relaxed);
    if (block_ != nullptr) block_->inside.store(0, std::memory_order_relaxed);
    robust_mutex::release(shard_.mutex);
}

/// Looked at after every acquisition, whatever it returned: an owner may die after the one that was told of a death.
void ShardWriter::recover() {
    if (shard_.mutating.load(std::memory_order_acquire) != 0) {
        rebuild();
    } else if (shard_.reserved != 0) {
        const Mutation mutation(shard_);
        Arena(arena_base(), *view_.geometry).free(record_at(shard_.reserved));
        LARDER_CRASH_POINT("recover.freed");
        shard_.reserved = 0;
    }
}

/// Waits for nobody: the old arena stays as it is, for the readers that have pinned in it, and the shard goes on in
/// another. Killed anywhere inside, `mutating` is still set and the next owner does all of it again.
void ShardWriter::rebuild() {
    if (block_ != nullptr) block_->inside.store((1 + shard_index_) | kRebuilding, std::memory_order_relaxed);
    rebuilt_ = true;
    directory_.clear();
    LARDER_CRASH_POINT("rebuild.cleared");
    // Pins that were taken before this fence are seen by every later scan; pins after it fail their re-check.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    reset_control();
    LARDER_CRASH_POINT("rebuild.reset");

    release_condemned_arenas(view_, registry_);
    const std::uint32_t old = shard_.arena.load(std::memory_order_relaxed);
    if (const std::optional<std::uint32_t> fresh = take_arena()) {
        LARDER_CRASH_POINT("rebuild.taken");
        format_arena(view_.arena(*fresh), *view_.geometry);
        LARDER_CRASH_POINT("rebuild.formatted");
        // Condemned before the shard leaves it: an owned arena that is not the shard's current one may be formatted.
        Word64& state = view_.arena_state(old);
        const std::uint64_t was = state.load(std::memory_order_relaxed);
        if (arena_kind(was) == ArenaKind::owned)
            state.store(arena_state(ArenaKind::condemned, shard_index_, arena_changes(was) + 1),
                        std::memory_order_release);
        LARDER_CRASH_POINT("rebuild.condemned");
        shard_.arena.store(*fresh, std::memory_order_release);
        shard_.closed.store(0, std::memory_order_relaxed);
    } else {
        shard_.closed.store(1, std::memory_order_relaxed);
    }
    LARDER_CRASH_POINT("rebuild.switched");
    shard_.rebuilds.fetch_add(1, std::memory_order_relaxed);
    count(Counter::shard_rebuilds);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    shard_.mutating.store(0, std::memory_order_release);
    if (block_ != nullptr) block_->inside.store(1 + shard_index_, std::memory_order_relaxed);
}

/// An arena that an earlier, killed rebuild had taken for this shard, else a spare.
std::optional<std::uint32_t> ShardWriter::take_arena() {
    const std::uint32_t current = shard_.arena.load(std::memory_order_relaxed);
    const auto owned_here = [&](std::uint64_t state) {
        return arena_kind(state) == ArenaKind::owned && arena_shard(state) == shard_index_;
    };
    for (std::uint32_t i = 0; i < view_.geometry->arenas; ++i)
        if (i != current && owned_here(view_.arena_state(i).load(std::memory_order_acquire))) return i;
    for (std::uint32_t i = 0; i < view_.geometry->arenas; ++i) {
        std::uint64_t state = view_.arena_state(i).load(std::memory_order_acquire);
        const std::uint64_t taken = arena_state(ArenaKind::owned, shard_index_, arena_changes(state) + 1);
        if (arena_kind(state) == ArenaKind::spare &&
            view_.arena_state(i).compare_exchange_strong(state, taken, std::memory_order_acq_rel))
            return i;
    }
    return std::nullopt;
}

/// A shard without a spare goes on in its own arena once no pin names anything there.
bool ShardWriter::open_closed() {
    release_condemned_arenas(view_, registry_);
    const std::uint32_t current = shard_.arena.load(std::memory_order_relaxed);
    const std::uint64_t first = (view_.geometry->arenas_at + current * view_.geometry->arena_bytes) / kUnitBytes;
    if (PinScan(view_, registry_).any_between(first, first + view_.geometry->arena_bytes / kUnitBytes)) return false;
    const Mutation mutation(shard_);
    format_arena(arena_base(), *view_.geometry);
    LARDER_CRASH_POINT("reopen.formatted");
    reset_control();
    shard_.closed.store(0, std::memory_order_relaxed);
    return true;
}

void ShardWriter::reset_control() {
    shard_.reserved = 0;
    shard_.retired_count = 0;
    shard_.retired_first = shard_.retired_last = 0;
    shard_.cursor = 0;
    for (Word64* gauge : {&shard_.entries, &shard_.payload_bytes, &shard_.arena_used_bytes})
        gauge->store(0, std::memory_order_relaxed);
}

/// Only readers that pinned before the directory was cleared may be in there, and they can only become fewer. The count
/// of changes in the state defeats a caller that slept since its scan.
void release_condemned_arenas(const SegmentView& view, const Registry& registry) {
    for (std::uint32_t i = 0; i < view.geometry->arenas; ++i) {
        std::uint64_t state = view.arena_state(i).load(std::memory_order_acquire);
        if (arena_kind(state) != ArenaKind::condemned) continue;
        const std::uint64_t first = (view.geometry->arenas_at + i * view.geometry->arena_bytes) / kUnitBytes;
        if (PinScan(view, registry).any_between(first, first + view.geometry->arena_bytes / kUnitBytes)) continue;
        view.arena_state(i).compare_exchange_strong(state, arena_state(ArenaKind::spare, 0, arena_changes(state) + 1),
                                                    std::memory_order_acq_rel);
    }
}

void format_owned_arenas(const SegmentView& view) {
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        format_arena(view.arena(i), *view.geometry);
        view.shard(i).arena.store(i, std::memory_order_relaxed);
    }
}

}  // namespace larder::shm
