#include "shm/key_table.hpp"

#include <algorithm>
#include <array>

#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr int kTries = 4;
constexpr std::uint32_t kHitBits = 36, kMissBits = 28;
constexpr std::uint64_t kHitMask = (1ULL << kHitBits) - 1, kMissMask = (1ULL << kMissBits) - 1;

constexpr std::uint64_t pack(std::uint64_t hits, std::uint64_t misses) {
    return (hits & kHitMask) << kMissBits | (misses & kMissMask);
}
constexpr std::uint64_t hits_since(std::uint64_t now, std::uint64_t then) {
    return ((now >> kMissBits) - (then >> kMissBits)) & kHitMask;
}
constexpr std::uint64_t misses_since(std::uint64_t now, std::uint64_t then) { return (now - then) & kMissMask; }

// Modulo: a difference above half of the range is a negative one.
constexpr bool fell(std::uint64_t now, std::uint64_t then) {
    return hits_since(now, then) > kHitMask / 2 || misses_since(now, then) > kMissMask / 2;
}

// The first of the hours from `head` + 1 to `hour` that the ring still has a place for.
constexpr std::uint32_t first_missing(std::uint32_t head, std::uint32_t hour) {
    return hour - head >= kHours ? hour - kHours + 1 : head + 1;
}

// The sums when the window that ends with `hour` began. REQUIRES: head - kHours < hour - kHours + 1 <= head.
// An advance in progress, or one whose process was killed, has overwritten the oldest places with later sums while head
// still says otherwise: the sums fall behind them, and the window begins there, as it will when the advance is
// complete.
std::uint64_t window_start(const KeyEntry& entry, std::uint32_t head, std::uint32_t hour) {
    std::uint64_t start = 0, last = 0;
    for (std::uint32_t h = hour - kHours + 1; h <= head; ++h) {
        const std::uint64_t here = entry.ring[h % kHours].load(std::memory_order_acquire);
        if (h == hour - kHours + 1 || fell(here, last)) start = here;
        last = here;
    }
    return start;
}

}  // namespace

// The entries that a key may have, in the order in which everybody tries them.
struct KeyTable::Window {
    std::uint64_t first, start, entries;  // of the shard's part: first index, where the window begins, size

    std::uint32_t length() const { return static_cast<std::uint32_t>(std::min<std::uint64_t>(kKeyWindow, entries)); }
    std::uint32_t operator[](std::uint32_t i) const {
        const std::uint64_t at = start + i;
        return static_cast<std::uint32_t>(first + (at < entries ? at : at - entries));
    }
};

KeyTable::KeyTable(const SegmentView& view) : view_(view) {
    tracked_keys_ = view.geometry->tracked_keys;
    if (tracked_keys_ == 0) return;
    per_shard_ = tracked_keys_ / view.geometry->shards;
    entries_ = &view.key_entry(0);
    hits_ = &view.key_hits(0, 0);
}

// The low 32 bits of the hash, scaled; its high bits have chosen the shard.
KeyTable::Window KeyTable::window_of(std::uint64_t hash, std::uint32_t shard) const {
    return {shard * per_shard_, ((hash & 0xFFFFFFFF) * per_shard_) >> 32, per_shard_};
}

void KeyTable::prefetch(std::uint64_t hash, std::uint32_t shard) const {
    const Window window = window_of(entry_hash(hash), shard);
    if (window.length() == 0) return;
    __builtin_prefetch(&entries_[window[0]].key_hash);
    __builtin_prefetch(&entries_[window[0]].last_change_s);  // on the next line, every other time
}

std::uint32_t KeyTable::find(std::uint64_t hash, std::uint32_t shard) const {
    const std::uint64_t wanted = entry_hash(hash);
    const Window window = window_of(wanted, shard);
    for (std::uint32_t i = 0; i < window.length(); ++i) {
        const std::uint64_t found = entries_[window[i]].key_hash.load(std::memory_order_acquire);
        if (found == wanted) return window[i];
        if (found == 0) return kUntracked;
    }
    return kUntracked;
}

bool KeyTable::is_full_for(std::uint64_t hash, std::uint32_t shard) const {
    const Window window = window_of(entry_hash(hash), shard);
    for (std::uint32_t i = 0; i < window.length(); ++i)
        if (entries_[window[i]].key_hash.load(std::memory_order_acquire) == 0) return false;
    return true;
}

std::uint32_t KeyTable::find_or_add(std::uint64_t hash, std::uint32_t shard) {
    const std::uint64_t wanted = entry_hash(hash);
    const Window window = window_of(wanted, shard);
    for (std::uint32_t i = 0; i < window.length(); ++i) {
        Word64& word = entries_[window[i]].key_hash;
        std::uint64_t found = word.load(std::memory_order_acquire);
        if (found == 0) LARDER_CRASH_POINT("key_table.add.free");
        if (found == 0 && word.compare_exchange_strong(found, wanted, std::memory_order_acq_rel)) found = wanted;
        if (found == wanted) return window[i];
    }
    return kUntracked;
}

std::uint32_t KeyTable::recycle(std::uint64_t hash, std::uint32_t shard, std::uint32_t now_hour, const InUse& in_use) {
    const std::uint32_t own = find_or_add(hash, shard);
    if (own != kUntracked) return own;
    const Window window = window_of(entry_hash(hash), shard);
    for (std::uint32_t i = 0; i < window.length(); ++i)
        if (try_recycle(window[i], entry_hash(hash), now_hour, in_use)) return window[i];
    return kUntracked;
}

// Killed anywhere before the last store, the entry is still the old key's, with no use in 24 hours: true, and good for
// a new attempt after 24 more. The new key finds no use either, because the ring starts at the old key's sums.
bool KeyTable::try_recycle(std::uint32_t index, std::uint64_t hash, std::uint32_t now_hour, const InUse& in_use) {
    KeyEntry& entry = entries_[index];
    const std::uint32_t head = entry.head.load(std::memory_order_acquire);
    if (head == 0) {
        advance(index, now_hour);  // taken and not used so far: its 24 hours begin now
        return false;
    }
    if (now_hour <= head + kHours || in_use(entry.key_hash.load(std::memory_order_relaxed))) return false;
    const Sums before = sums(index);
    if (!advance(index, now_hour)) return false;  // an event of the old key came first
    LARDER_CRASH_POINT("key_table.recycle.advanced");
    const Sums after = sums(index);
    if (before.hits != after.hits || before.misses != after.misses) return false;
    entry.fate.store(static_cast<std::uint32_t>(Fate::never), std::memory_order_relaxed);
    entry.last_change_s.store(0, std::memory_order_relaxed);
    entry.mean_interval_s.store(0, std::memory_order_relaxed);
    LARDER_CRASH_POINT("key_table.recycle.cleared");
    entry.key_hash.store(hash, std::memory_order_release);
    return true;
}

KeyTable::Sums KeyTable::sums(std::uint32_t index) const {
    Sums total{0, entries_[index].cum_misses.load(std::memory_order_acquire)};
    for (std::uint32_t stripe = 0; stripe < kHitStripes; ++stripe)
        total.hits += hits_[stripe * tracked_keys_ + index].load(std::memory_order_acquire);
    return total;
}

// One attempt to bring the entry to `hour`. True: it was this call that moved head.
bool KeyTable::advance(std::uint32_t index, std::uint32_t hour) {
    KeyEntry& entry = entries_[index];
    std::uint32_t head = entry.head.load(std::memory_order_acquire);
    if (head >= hour) return false;
    const std::uint32_t first = first_missing(head, hour);
    std::array<std::uint64_t, kHours> before{};
    for (std::uint32_t h = first; h <= hour; ++h)
        before[h % kHours] = entry.ring[h % kHours].load(std::memory_order_acquire);
    LARDER_CRASH_POINT("key_table.advance.read");
    const Sums now = sums(index);
    if (entry.head.load(std::memory_order_acquire) != head) return false;
    for (std::uint32_t h = first; h <= hour; ++h) {
        entry.ring[h % kHours].compare_exchange_strong(before[h % kHours], pack(now.hits, now.misses),
                                                       std::memory_order_acq_rel, std::memory_order_relaxed);
        LARDER_CRASH_POINT("key_table.advance.ring");
    }
    const bool moved = entry.head.compare_exchange_strong(head, hour, std::memory_order_acq_rel);
    LARDER_CRASH_POINT("key_table.advance.head");
    return moved;
}

void KeyTable::enter_hour(std::uint32_t index, std::uint32_t hour, Word32* record_hour) {
    Word32& head = entries_[index].head;
    for (int i = 0; i < kTries && head.load(std::memory_order_acquire) < hour; ++i) advance(index, hour);
    if (record_hour != nullptr && head.load(std::memory_order_acquire) >= hour)
        record_hour->store(hour, std::memory_order_release);
}

bool KeyTable::count_miss(std::uint32_t index, std::uint32_t hour) {
    if (index >= tracked_keys_) return false;
    KeyEntry& entry = entries_[index];
    if (entry.head.load(std::memory_order_acquire) < hour) enter_hour(index, hour, nullptr);
    entry.cum_misses.fetch_add(1, std::memory_order_release);
    return true;
}

KeyUse KeyTable::use(std::uint64_t hash, std::uint32_t shard, std::int64_t now_ns) const {
    const std::uint32_t index = find(hash, shard);
    if (index == kUntracked) return {};
    const KeyEntry& entry = entries_[index];
    KeyUse result{0, 0, true};
    for (int i = 0; i < kTries; ++i) {
        const std::uint32_t head = entry.head.load(std::memory_order_acquire);
        const std::uint32_t hour = std::max(hour_of(now_ns), head);
        if (head == 0 || head + kHours <= hour) break;
        const std::uint64_t start = window_start(entry, head, hour);
        const Sums now = sums(index);
        result.hits = hits_since(pack(now.hits, now.misses), start);
        result.misses = misses_since(pack(now.hits, now.misses), start);
        if (entry.head.load(std::memory_order_acquire) == head) break;
    }
    if (entry.key_hash.load(std::memory_order_acquire) != entry_hash(hash)) return {};
    return result;
}

void KeyTable::set_fate(std::uint32_t index, Fate fate) {
    if (index < tracked_keys_) entries_[index].fate.store(static_cast<std::uint32_t>(fate), std::memory_order_relaxed);
}

Fate KeyTable::fate(std::uint32_t index) const {
    if (index >= tracked_keys_) return Fate::never;
    return static_cast<Fate>(entries_[index].fate.load(std::memory_order_relaxed));
}

void KeyTable::note_change(std::uint64_t hash, std::uint32_t shard, std::uint32_t now_s) {
    const std::uint32_t index = find(hash, shard);
    if (index == kUntracked) return;
    KeyEntry& entry = entries_[index];
    const std::uint32_t now = std::max(now_s, 1U);
    std::uint32_t last = entry.last_change_s.load(std::memory_order_relaxed);
    // Who loses the race was named within the same moment: one change.
    if (last >= now || !entry.last_change_s.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
    if (last == 0) return;
    const std::int64_t interval = now - last, mean = entry.mean_interval_s.load(std::memory_order_relaxed);
    const std::int64_t next = mean == 0 ? interval : mean + (interval - mean) / 8;
    entry.mean_interval_s.store(static_cast<std::uint32_t>(next), std::memory_order_relaxed);
}

std::uint32_t KeyTable::mean_change_interval_s(std::uint32_t index) const {
    return index < tracked_keys_ ? entries_[index].mean_interval_s.load(std::memory_order_relaxed) : 0;
}

std::uint32_t KeyTable::last_change_s(std::uint32_t index) const {
    return index < tracked_keys_ ? entries_[index].last_change_s.load(std::memory_order_relaxed) : 0;
}

}  // namespace larder::shm
