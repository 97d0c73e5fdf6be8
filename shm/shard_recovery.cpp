// Getting a shard's lock, and what is done when its last owner died inside a writing section.
#include "shm/arena.hpp"
#include "shm/elapsed.hpp"
#include "shm/mutation.hpp"
#include "shm/registry.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/shard.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::int64_t kPinnedTooLongNs = 10'000'000'000;

}  // namespace

ShardWriter::ShardWriter(const SegmentView& view, const Registry& registry, std::uint32_t shard, ThreadBlock* block,
                         std::int64_t now_ns)
    : view_(view),
      registry_(registry),
      shard_index_(shard),
      shard_(view.shard(shard)),
      directory_(view.directory(shard), view.geometry->directory_slots, shard_.moves),
      fences_(view),
      sync_(view),
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
    if (shard_.mutating.load(std::memory_order_acquire) != 0 || !is_sound()) {
        shard_.mutating.store(1, std::memory_order_relaxed);
        rebuild();
    } else if (shard_.reserved != 0) {
        const Mutation mutation(shard_);
        Arena(arena_base(), *view_.geometry).free(record_at(shard_.reserved));
        LARDER_CRASH_POINT("recover.freed");
        shard_.reserved = 0;
    }
}

/// A few words decide where a writer goes. What a stray store has left there is not followed: the shard is rebuilt.
bool ShardWriter::is_sound() const {
    const std::uint32_t arena = shard_.arena.load(std::memory_order_relaxed);
    if (shard_.closed.load(std::memory_order_relaxed) != 0) {
        if (shard_.reserved != 0) return false;
        for (std::uint32_t i = 0; i < view_.geometry->arenas; ++i)
            if (is_owned_here(view_.arena_state(i).word.load(std::memory_order_acquire))) return false;
        return true;
    }
    return is_sound_arena(view_, arena) &&
           is_owned_here(view_.arena_state(arena).word.load(std::memory_order_acquire)) &&
           has_sound_lists(view_, shard_);
}

/// Waits for nobody: the old arena stays as it is, for the readers that have pinned in it, and the shard goes on in
/// another. Killed anywhere inside, `mutating` is still set and the next owner does all of it again.
/// REQUIRES: `mutating` set.
void ShardWriter::rebuild() {
    if (block_ != nullptr) block_->inside.store((1 + shard_index_) | kRebuilding, std::memory_order_relaxed);
    rebuilt_ = true;
    directory_.clear();
    LARDER_CRASH_POINT("rebuild.cleared");
    // Pins that were taken before this fence are seen by every later scan; pins after it fail their re-check.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    reset_control();
    LARDER_CRASH_POINT("rebuild.reset");
    condemn_arenas();
    LARDER_CRASH_POINT("rebuild.condemned");
    move_to_fresh_arena();
    LARDER_CRASH_POINT("rebuild.moved");
    shard_.rebuilds.fetch_add(1, std::memory_order_relaxed);
    count(Counter::shard_rebuilds);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    shard_.mutating.store(0, std::memory_order_release);
    if (block_ != nullptr) block_->inside.store(1 + shard_index_, std::memory_order_relaxed);
}

/// All that are marked as this shard's, not the one that it names: after a killed rebuild that may be another shard's,
/// a damaged number may be any, and a killed rebuild may have taken one that it did not come to name.
void ShardWriter::condemn_arenas() {
    for (std::uint32_t i = 0; i < view_.geometry->arenas; ++i) {
        ArenaState& arena = view_.arena_state(i);
        const std::uint64_t was = arena.word.load(std::memory_order_acquire);
        if (!is_owned_here(was)) continue;
        arena.condemned_ns.store(system::coarse_ns(), std::memory_order_relaxed);
        arena.word.store(arena_state(ArenaKind::condemned, shard_index_, arena_changes(was) + 1),
                         std::memory_order_release);
    }
}

/// Else the shard is closed until a later call finds an arena. REQUIRES: `mutating` set, no arena its own.
bool ShardWriter::move_to_fresh_arena() {
    release_condemned_arenas(view_, registry_, block_);
    const std::optional<std::uint32_t> fresh = take_spare();
    if (fresh) {
        LARDER_CRASH_POINT("rebuild.taken");
        format_arena(view_.arena(*fresh), *view_.geometry);
        LARDER_CRASH_POINT("rebuild.formatted");
        shard_.arena.store(*fresh, std::memory_order_release);
    }
    shard_.closed.store(fresh ? 0 : 1, std::memory_order_relaxed);
    return fresh.has_value();
}

bool ShardWriter::is_owned_here(std::uint64_t state) const {
    return arena_kind(state) == ArenaKind::owned && arena_shard(state) == shard_index_;
}

std::optional<std::uint32_t> ShardWriter::take_spare() {
    for (std::uint32_t i = 0; i < view_.geometry->arenas; ++i) {
        Word64& word = view_.arena_state(i).word;
        std::uint64_t state = word.load(std::memory_order_acquire);
        const std::uint64_t taken = arena_state(ArenaKind::owned, shard_index_, arena_changes(state) + 1);
        if (arena_kind(state) == ArenaKind::spare &&
            word.compare_exchange_strong(state, taken, std::memory_order_acq_rel))
            return i;
    }
    return std::nullopt;
}

bool ShardWriter::open_closed() {
    const Mutation mutation(shard_);
    return move_to_fresh_arena();
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
void release_condemned_arenas(const SegmentView& view, const Registry& registry, ThreadBlock* block) {
    for (std::uint32_t i = 0; i < view.geometry->arenas; ++i) {
        ArenaState& arena = view.arena_state(i);
        std::uint64_t state = arena.word.load(std::memory_order_acquire);
        if (!is_condemned(state)) continue;
        const std::uint64_t first = (view.geometry->arenas_at + i * view.geometry->arena_bytes) / kUnitBytes;
        const std::uint64_t last = first + view.geometry->arena_bytes / kUnitBytes;
        const std::uint32_t changes = arena_changes(state) + 1;
        if (!PinScan(view, registry).any_between(first, last)) {
            arena.word.compare_exchange_strong(state, arena_state(ArenaKind::spare, 0, changes),
                                               std::memory_order_acq_rel);
        } else if (arena_kind(state) == ArenaKind::condemned && is_long_condemned(arena, system::coarse_ns()) &&
                   arena.word.compare_exchange_strong(
                       state, arena_state(ArenaKind::pinned, arena_shard(state), changes), std::memory_order_acq_rel)) {
            count(block, view.header(), Counter::arenas_pinned);  // once, whoever looks
        }
    }
}

bool is_long_condemned(const ArenaState& arena, std::int64_t now_ns) {
    return elapsed_ns(arena.condemned_ns.load(std::memory_order_relaxed), now_ns) > kPinnedTooLongNs;
}

void format_owned_arenas(const SegmentView& view) {
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        format_arena(view.arena(i), *view.geometry);
        view.shard(i).arena.store(i, std::memory_order_relaxed);
    }
}

}  // namespace larder::shm
