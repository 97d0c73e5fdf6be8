#include "shm/lookup.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace larder::shm {
namespace {

constexpr std::uint32_t kRestarts = 8;  // of one probe, when slots change under it
constexpr std::uint32_t kMissTries = 3;
constexpr std::uint32_t kCopyTries = 4;

Word64* free_cell(ThreadBlock* block) {
    if (block == nullptr) return nullptr;
    for (Word64& cell : block->cells)
        if (cell.load(std::memory_order_acquire) == 0) return &cell;
    return nullptr;
}

// Words, since the bytes may change meanwhile: the caller's re-check tells.
#if defined(__SANITIZE_THREAD__) || defined(__clang__)
__attribute__((no_sanitize("thread")))
#endif
void copy_words(const std::byte* from, char* to, std::uint64_t bytes) {
    const auto* shared = reinterpret_cast<const Word64*>(from);
    for (std::uint64_t i = 0; i < (bytes + 7) / 8; ++i) {
        const std::uint64_t word = shared[i].load(std::memory_order_relaxed);
        std::memcpy(to + 8 * i, &word, sizeof word);
    }
}

}  // namespace

void release(Look& look) noexcept {
    if (look.cell != nullptr) look.cell->store(0, std::memory_order_release);
    delete[] look.copy;
    look.cell = nullptr;
    look.copy = nullptr;
    look.record = nullptr;
}

Look Lookup::find(const HashedKey& key, ThreadBlock* block, std::int64_t now_ns) const {
    Look look;
    const std::uint32_t shard = shard_of(key.hash, view_.geometry->shards);
    Probed probed = probe(key, shard, block, look);
    // A miss is believed after a probe between two equal even readings: then no slot was shifted past it.
    const Word64& moves = view_.shard(shard).moves;
    for (std::uint32_t n = 0; probed != Probed::found; ++n) {
        if (n == kMissTries) {
            look.verdict = Verdict::contended;
            return look;
        }
        const std::uint64_t before = moves.load(std::memory_order_acquire);
        probed = probe(key, shard, block, look);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (probed == Probed::none && before % 2 == 0 && moves.load(std::memory_order_relaxed) == before) {
            look.verdict = Verdict::absent;
            return look;
        }
    }
    look.verdict = judge(*look.record, now_ns);
    return look;
}

Lookup::Probed Lookup::probe(const HashedKey& key, std::uint32_t shard, ThreadBlock* block, Look& look) const {
    const std::uint32_t mask = view_.geometry->directory_slots - 1;
    const Word64* const slots = view_.directory(shard);
    const std::uint32_t tag = tag_of(key.hash);
    std::uint32_t restarts = 0;
    std::uint32_t index = static_cast<std::uint32_t>(key.hash) & mask;
    for (std::uint32_t step = 0; step < kMaxProbe; ++step, index = (index + 1) & mask) {
        const std::uint64_t word = slots[index].load(std::memory_order_relaxed);
        if (word == 0) return Probed::none;
        if (slot_tag(word) != tag) continue;
        const Probed taken = take(key, slots[index], word, block, look);
        if (taken == Probed::found) return taken;
        if (taken == Probed::none) continue;  // another key with this tag
        if (++restarts > kRestarts) return Probed::changed;
        index = (static_cast<std::uint32_t>(key.hash) - 1) & mask;  // the key may have been shifted back past us
        step = ~std::uint32_t{0};
    }
    return Probed::none;
}

Lookup::Probed Lookup::take(const HashedKey& key, const Word64& slot, std::uint64_t word, ThreadBlock* block,
                            Look& look) const {
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    if (!in_arenas(offset)) {
        look.damaged = true;
        return Probed::none;
    }
    Word64* const cell = free_cell(block);
    if (cell == nullptr) return take_copy(key, slot, word, look);
    Record* const record = view_.at<Record>(offset);
    __builtin_prefetch(record);
    // Publish, then re-check, both seq_cst: a writer that unlinks, fences and then reads the cells either is seen here by
    // the re-check, or sees the cell.
    cell->exchange(slot_units(word), std::memory_order_seq_cst);
    if (slot.load(std::memory_order_seq_cst) != word) {
        cell->store(0, std::memory_order_release);
        return Probed::changed;
    }
    const bool fits = record_fits(*record, arenas_end_ - offset);
    if (!fits || record->hash != key.hash || key_of(*record) != key.text) {
        cell->store(0, std::memory_order_release);
        look.damaged |= !fits;
        return Probed::none;
    }
    look.record = record;
    look.cell = cell;
    return Probed::found;
}

Lookup::Probed Lookup::take_copy(const HashedKey& key, const Word64& slot, std::uint64_t word, Look& look) const {
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    const std::byte* const shared = view_.base + offset;
    for (std::uint32_t n = 0; n < kCopyTries; ++n) {
        alignas(Record) char head[sizeof(Record)];
        copy_words(shared, head, sizeof head);
        const Record& fixed = *reinterpret_cast<const Record*>(head);
        const bool fits = record_fits(fixed, arenas_end_ - offset);
        const bool same = fits && fixed.hash == key.hash;
        const std::uint64_t bytes = same ? shape_of(fixed).total() : 0;
        std::unique_ptr<char[]> copy(same ? new (std::nothrow) char[bytes + 8] : nullptr);
        if (copy != nullptr) copy_words(shared, copy.get(), bytes);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot.load(std::memory_order_relaxed) != word) return Probed::changed;
        if (copy == nullptr) {
            look.damaged |= !fits;
            return Probed::none;
        }
        Record* const record = reinterpret_cast<Record*>(copy.get());
        if (record->id != fixed.id || !record_fits(*record, bytes)) continue;
        if (key_of(*record) != key.text) return Probed::none;
        look.record = record;
        look.copy = copy.release();
        return Probed::found;
    }
    return Probed::changed;
}

Verdict Lookup::judge(Record& record, std::int64_t now_ns) const {
    // `applied` is read before the fences that it stands for.
    if (!fences_.alive(record, fences_.load_applied())) return Verdict::invalidated;
    if (now_ns >= record.expires_ns) return Verdict::expired;
    if ((record.flags & (kNegative | kBacked)) != 0) [[unlikely]] {
        const bool late = now_ns >= view_.header().fresh_until_ns.load(std::memory_order_acquire);
        if ((record.flags & kBacked) != 0 && late) return Verdict::expired;
        if ((record.flags & kNegative) != 0) return Verdict::negative;
    }
    return now_ns >= record.soft_expires_ns ? Verdict::stale : Verdict::live;
}

}  // namespace larder::shm
