#include "shm/shard.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "shm/arena.hpp"
#include "shm/elapsed.hpp"
#include "shm/entry_index.hpp"
#include "shm/histogram.hpp"
#include "shm/mutation.hpp"
#include "shm/record_copy.hpp"
#include "shm/registry.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::uint32_t kRetiredBeforeScan = 16;
constexpr std::uint32_t kRetiredPerScan = 256;
constexpr std::uint32_t kExpiredPerPut = 8;
constexpr std::uint32_t kSweptPerPut = 2;
constexpr std::uint32_t kEvictions = 1024;  // of one holding of the lock
constexpr std::int64_t kEvictionNs = 2'000'000;
constexpr std::uint32_t kCorrections = 64;         // of one victim, by the clock: costs 0.2 points of hit ratio at most
constexpr std::uint32_t kStrictCorrections = 256;  // of one holding of the lock
constexpr std::int64_t kFencedKeptNs = 1'000'000'000;  // for those who wait for it

std::uint64_t payload_of(const Record& record) { return record.key_bytes + std::uint64_t{record.value_bytes}; }

/// Past its ttl, and past the time in which it may stand in for a failed computation.
bool is_over(const Record& record, std::int64_t now_ns) {
    return record.expires_ns <= now_ns - record.stale_if_error_ms * std::int64_t{1'000'000};
}

/// Gauges are their lock holder's to write and anybody's to read.
void raise(Word64& gauge, std::uint64_t n) {
    gauge.store(gauge.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}
void lower(Word64& gauge, std::uint64_t n) {
    gauge.store(gauge.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
}

}  // namespace

RecordShape NewRecord::shape() const {
    std::uint64_t tags_bytes = 0;
    for (const std::string& tag : tags) tags_bytes += 2 + tag.size();
    return {key.text.size(), tags.size(), tags_bytes, value.size()};
}

std::optional<PutResult> ShardWriter::put(const NewRecord& wanted) {
    if (shard_.closed.load(std::memory_order_relaxed) != 0 && !open_closed()) return PutResult::rebuilding;
    const std::uint64_t payload_bytes = wanted.key.text.size() + wanted.value.size();
    if (view_.geometry->max_bytes != 0 && payload_bytes > share_of(view_.geometry->max_bytes))
        return PutResult::too_large;
    drop_expired();
    drop_dead();

    const auto there = entry_index(arena_base()).get<ByKey>().find(wanted.key);
    const Record* const old = there == entry_index(arena_base()).get<ByKey>().end() ? nullptr : there->record.get();
    if (old != nullptr && old->as_of > wanted.as_of && is_alive(*old)) return PutResult::older;
    if (wanted.renewed != 0 && (old == nullptr || old->id != wanted.renewed)) return PutResult::older;
    const std::uint64_t replaced_bytes = old == nullptr ? 0 : payload_of(*old);
    const bool fenced = fences_.highest(wanted.key.text, wanted.tags) > wanted.as_of;
    if (fenced && !wanted.for_waiters) return PutResult::fenced;

    const Room room = make_room(wanted, replaced_bytes);
    if (room.unfinished) return std::nullopt;
    if (room.record == nullptr) return PutResult::no_space;

    LARDER_CRASH_POINT("put.reserved");
    fill(room.record, wanted);
    LARDER_CRASH_POINT("put.filled");

    const Mutation mutation(shard_);
    shard_.reserved = 0;
    LARDER_CRASH_POINT("put.linking");
    if (!link(room.record, wanted)) {
        Arena(arena_base(), *view_.geometry).free(room.record);
        return PutResult::no_space;
    }
    LARDER_CRASH_POINT("put.linked");
    if (shard_.retired_count >= kRetiredBeforeScan) reclaim();
    return fenced ? PutResult::fenced : PutResult::stored;
}

void ShardWriter::erase(const HashedKey& key, Fate fate) {
    if (shard_.closed.load(std::memory_order_relaxed) != 0) return;
    const auto there = entry_index(arena_base()).get<ByKey>().find(key);
    if (there == entry_index(arena_base()).get<ByKey>().end() || is_alive(*there->record)) return;
    const Mutation mutation(shard_);
    unlink(*there, fate);
}

bool ShardWriter::is_alive(const Record& record) const {
    return record.expires_ns > now_ns_ && !sync_.is_late(record, now_ns_) && fences_.highest(record) <= record.as_of;
}

void ShardWriter::tend() {
    if (shard_.closed.load(std::memory_order_relaxed) != 0) return;
    drop_expired();
    drop_dead();
    const Mutation mutation(shard_);
    reclaim();
}

// The remainder goes to the first shards, so that the shards' limits add up to the segment's.
std::uint64_t ShardWriter::share_of(std::uint64_t total) const {
    return total / view_.geometry->shards + (shard_index_ < total % view_.geometry->shards ? 1 : 0);
}

bool ShardWriter::over_limits(std::uint64_t payload_bytes, std::uint64_t replaced_bytes) const {
    const Geometry& geometry = *view_.geometry;
    std::uint64_t most = entries_that_fit(geometry);
    if (geometry.max_entries != 0) most = std::min(most, share_of(geometry.max_entries));
    if (replaced_bytes == 0 && shard_.entries.load(std::memory_order_relaxed) >= most) return true;
    const std::uint64_t bytes = shard_.payload_bytes.load(std::memory_order_relaxed);
    return geometry.max_bytes != 0 && bytes + payload_bytes - replaced_bytes > share_of(geometry.max_bytes);
}

ShardWriter::Room ShardWriter::make_room(const NewRecord& wanted, std::uint64_t replaced_bytes) {
    const std::uint64_t total = wanted.shape().total();
    const std::uint64_t payload_bytes = wanted.key.text.size() + wanted.value.size();
    const std::int64_t started_ns = system::monotonic_ns();
    Arena heap(arena_base(), *view_.geometry);
    const Mutation mutation(shard_);
    std::uint32_t evicted = 0;
    for (;;) {
        const bool limited = over_limits(payload_bytes, replaced_bytes);
        if (!limited) {
            if (void* room = heap.allocate(total)) {
                LARDER_CRASH_POINT("put.allocated");
                shard_.reserved = units_of(static_cast<Record*>(room));
                return {static_cast<Record*>(room), false};
            }
            if (reclaim() > 0) continue;
        }
        if (evicted >= kEvictions || (evicted % 64 == 63 && system::monotonic_ns() - started_ns > kEvictionNs))
            return {nullptr, true};
        const Evicted one = evict_one();
        if (one == Evicted::none) return {};
        if (one == Evicted::unfinished) return {nullptr, true};
        ++evicted;
        if (!limited) reclaim();
        // The entry that the put would have replaced may have been the victim.
        if (replaced_bytes != 0 &&
            entry_index(arena_base()).get<ByKey>().find(wanted.key) == entry_index(arena_base()).get<ByKey>().end())
            replaced_bytes = 0;
    }
}

/// Expired ones first. Otherwise the lowest stamp in the index whose record was not used since: it is the least
/// recently used, since every record's own stamp is at least its indexed one.
ShardWriter::Evicted ShardWriter::evict_one() {
    EntryIndex& entries = entry_index(arena_base());
    auto& by_expiry = entries.get<ByExpiry>();
    if (by_expiry.empty()) return Evicted::none;
    if (by_expiry.begin()->expires_ns <= now_ns_) {
        unlink(*by_expiry.begin(), Fate::expired);
        return Evicted::one;
    }
    const bool strict = view_.geometry->strict_recency != 0;
    auto& by_recency = entries.get<ByRecency>();
    auto oldest = by_recency.begin();
    std::uint64_t oldest_stamp = ~std::uint64_t{0};
    for (std::uint32_t n = 0; n < (strict ? kStrictCorrections : kCorrections); ++n) {
        const auto lowest = by_recency.begin();
        const std::uint64_t used = stamp_of(*lowest->record);
        if (used < oldest_stamp) {
            oldest = lowest;
            oldest_stamp = used;
        }
        if (used <= lowest->stamp) {
            unlink(*lowest, Fate::evicted);
            return Evicted::one;
        }
        by_recency.modify(lowest, [used](IndexEntry& entry) { entry.stamp = used; });
    }
    if (strict) return Evicted::unfinished;
    unlink(*oldest, Fate::evicted);
    return Evicted::one;
}

void ShardWriter::fill(Record* record, const NewRecord& wanted) {
    const RecordShape shape = wanted.shape();
    new (record) Record{};
    record->id = (shard_.publications + 1) << 10 | shard_index_;  // never 0
    record->as_of = wanted.as_of;
    record->created_ns = now_ns_;
    record->checksum = wanted.checksum;
    record->stale_if_error_ms = wanted.stale_if_error_ms;
    record->read_ns = wanted.read_ns;
    record->tags_bytes = static_cast<std::uint32_t>(shape.tags_bytes);
    record->hash = wanted.key.hash;
    record->expires_ns = wanted.expires_ns;
    record->soft_expires_ns = wanted.soft_expires_ns;
    record->checked.store(~std::uint64_t{0}, std::memory_order_relaxed);
    record->value_at = static_cast<std::uint32_t>(shape.value_at());
    record->value_bytes = static_cast<std::uint32_t>(shape.value_bytes);
    record->key_bytes = static_cast<std::uint16_t>(shape.key_bytes);
    record->tags = static_cast<std::uint8_t>(shape.tags);
    record->flags = wanted.flags;

    char* const bytes = reinterpret_cast<char*>(record);
    std::memcpy(bytes + sizeof(Record), wanted.key.text.data(), wanted.key.text.size());
    const std::uint64_t seed = view_.header().hash_seed;
    char* at = bytes + shape.stripes_at();
    const auto append = [&at](const void* from, std::size_t size) {
        std::memcpy(at, from, size);
        at += size;
    };
    const auto append_stripe = [&](FenceKind kind, std::string_view text) {
        const std::uint32_t stripe = stripe_of(kind, text, seed);
        append(&stripe, sizeof stripe);
    };
    append_stripe(FenceKind::key, wanted.key.text);
    append_stripe(FenceKind::name_space, namespace_of(wanted.key.text));
    for (const std::string& tag : wanted.tags) append_stripe(FenceKind::tag, tag);
    for (const std::string& tag : wanted.tags) {
        const auto length = static_cast<std::uint16_t>(tag.size());
        append(&length, sizeof length);
        append(tag.data(), tag.size());
    }
    if (!wanted.value.empty()) std::memcpy(bytes + shape.value_at(), wanted.value.data(), wanted.value.size());
}

/// Enters a filled record into index and directory. False, with nothing changed: no free slot near the key's home, or
/// no room for an index node.
bool ShardWriter::link(Record* record, const NewRecord& wanted) {
    const std::uint64_t units = units_of(record);
    const std::uint64_t word = slot_word(units, tag_of(wanted.key.hash), ++shard_.publications);
    const std::uint64_t stamp = recency_stamp(view_, now_ns_);
    record->last_used.store(stamp, std::memory_order_relaxed);
    record->key_entry = wanted.tracked ? key_entry_for(wanted.key) : kUntracked;

    auto& by_key = entry_index(arena_base()).get<ByKey>();
    const auto there = by_key.find(wanted.key);
    if (there == by_key.end()) {
        const std::uint32_t slot = directory_.find_free(wanted.key.hash);
        if (slot == Directory::kNone || !enter_index({record, wanted.expires_ns, stamp})) return false;
        LARDER_CRASH_POINT("put.indexed");
        directory_.publish(slot, word);
        raise(shard_.entries, 1);
    } else {
        Record* const old = there->record.get();
        const std::uint32_t slot = directory_.find(wanted.key.hash, units_of(old));
        if (slot == Directory::kNone) return false;
        by_key.modify(there, [&](IndexEntry& entry) { entry = IndexEntry{record, wanted.expires_ns, stamp}; });
        LARDER_CRASH_POINT("put.indexed");
        directory_.publish(slot, word);
        lower(shard_.payload_bytes, payload_of(*old));
        retire(old);
    }
    raise(shard_.payload_bytes, payload_of(*record));
    if (record->key_entry != kUntracked) keys_.set_fate(record->key_entry, Fate::live);
    return true;
}

bool ShardWriter::enter_index(const IndexEntry& entry) try {
    if (testing::allocation_fails()) return false;
    return entry_index(arena_base()).get<ByKey>().insert(entry).second;
} catch (const boost::interprocess::bad_alloc&) {  // the insertion has undone itself
    return false;
}

std::uint32_t ShardWriter::key_entry_for(const HashedKey& key) {
    const std::uint32_t entry = keys_.find_or_add(key.hash, shard_index_);
    if (entry != kUntracked) return entry;
    // Only entries that no unreclaimed record names are handed on. Condemned arenas may hold some that cannot be
    // listed.
    for (std::uint32_t arena = 0; arena < view_.geometry->arenas; ++arena) {
        const std::uint64_t state = view_.arena_state(arena).word.load(std::memory_order_acquire);
        if (is_condemned(state) && arena_shard(state) == shard_index_) return kUntracked;
    }
    const auto in_use = [this](std::uint64_t hash) {
        const auto& by_key = entry_index(arena_base()).get<ByKey>();
        const auto same_hash = [hash](const HashedKey&, const HashedKey& other) { return other.hash == hash; };
        if (by_key.find(HashedKey{hash, {}}, KeyHash{}, same_hash) != by_key.end()) return true;
        std::uint64_t units = shard_.retired_first;
        for (std::uint32_t n = 0; n < shard_.retired_count && units != 0; ++n, units = record_at(units)->next_retired)
            if (record_at(units)->hash == hash) return true;
        return false;
    };
    return keys_.recycle(key.hash, shard_index_, hour_of(now_ns_), in_use);
}

/// A damaged slot may name anything.
bool ShardWriter::names_record(std::uint64_t word) const {
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    const std::uint64_t room = record_room(*view_.geometry, offset);
    return room != 0 && record_fits(*view_.at<Record>(offset), room);
}

void ShardWriter::unlink(const IndexEntry& entry, Fate fate) {
    Record* const record = entry.record.get();
    const auto home_of = [this](std::uint64_t word) {
        return names_record(word) ? directory_.home(record_at(slot_units(word))->hash) : 0;
    };
    const std::uint32_t slot = directory_.find(record->hash, units_of(record));
    if (slot != Directory::kNone) directory_.erase(slot, home_of);
    LARDER_CRASH_POINT("unlink.directory");
    auto& by_key = entry_index(arena_base()).get<ByKey>();
    by_key.erase(by_key.iterator_to(entry));
    LARDER_CRASH_POINT("unlink.index");
    lower(shard_.entries, 1);
    lower(shard_.payload_bytes, payload_of(*record));
    if (record->key_entry != kUntracked) keys_.set_fate(record->key_entry, fate);
    if (fate == Fate::evicted) {
        count(Counter::evictions);
        raise(shard_.evictions, 1);
        // It may be younger than this writer's look at the clock.
        const std::int64_t age_ns = std::max<std::int64_t>(elapsed_ns(record->created_ns, now_ns_), 0);
        add(view_.header().eviction_age_ms, static_cast<std::uint64_t>(age_ns / 1'000'000));
    } else if (fate == Fate::expired) {
        count(Counter::expirations);
        raise(shard_.expirations, 1);
    }
    retire(record);
}

void ShardWriter::retire(Record* record) {
    const std::uint64_t units = units_of(record);
    record->next_retired = 0;
    LARDER_CRASH_POINT("retire.last_of_all");
    if (shard_.retired_count == 0)
        shard_.retired_first = units;
    else
        record_at(shard_.retired_last)->next_retired = static_cast<std::uint32_t>(units);
    LARDER_CRASH_POINT("retire.linked");
    shard_.retired_last = units;
    LARDER_CRASH_POINT("retire.last");
    ++shard_.retired_count;
    LARDER_CRASH_POINT("retire.listed");
}

/// Frees the retired records that no cell names; the others go to the list's end. Returns how many were freed.
std::uint32_t ShardWriter::reclaim() {
    if (shard_.retired_count == 0) return 0;
    PinScan pins(view_,
                 registry_);  // begins with the fence that stands between the unlinking stores and the reading of cells
    Arena heap(arena_base(), *view_.geometry);
    std::uint32_t freed = 0;
    const std::uint32_t looked_at = std::min(shard_.retired_count, kRetiredPerScan);
    for (std::uint32_t n = 0; n < looked_at; ++n) {
        Record* const record = record_at(shard_.retired_first);
        shard_.retired_first = record->next_retired;
        LARDER_CRASH_POINT("reclaim.first");
        --shard_.retired_count;
        LARDER_CRASH_POINT("reclaim.unlisted");
        if (pins.pinned(units_of(record))) {
            retire(record);
        } else {
            heap.free(record);
            ++freed;
        }
        LARDER_CRASH_POINT("reclaim.one");
    }
    return freed;
}

void ShardWriter::drop_expired() {
    auto& by_expiry = entry_index(arena_base()).get<ByExpiry>();
    auto at = by_expiry.begin();
    for (std::uint32_t n = 0; n < kExpiredPerPut && at != by_expiry.end() && at->expires_ns <= now_ns_; ++n) {
        const auto next = std::next(at);
        if (is_over(*at->record, now_ns_)) {
            const Mutation mutation(shard_);
            unlink(*at, Fate::expired);
        }
        at = next;
    }
}

/// A cursor passes over the directory, two slots a call, and drops what a fence has killed, and what is over but stands
/// in the order of expiry behind many that are kept for errors.
void ShardWriter::drop_dead() {
    const std::uint64_t applied = fences_.load_applied();
    for (std::uint32_t n = 0; n < kSweptPerPut; ++n) {
        const std::uint64_t word = directory_.slot(shard_.cursor % directory_.size()).load(std::memory_order_relaxed);
        shard_.cursor = directory_.next(shard_.cursor % directory_.size());
        if (word == 0 || !names_record(word)) continue;
        Record& record = *record_at(slot_units(word));
        const bool over = is_over(record, now_ns_);
        if (!over && (fences_.alive(record, applied) || elapsed_ns(record.created_ns, now_ns_) < kFencedKeptNs))
            continue;
        const auto at = entry_index(arena_base()).get<ByKey>().find(HashedKey{record.hash, key_of(record)});
        if (at == entry_index(arena_base()).get<ByKey>().end()) continue;
        const Mutation mutation(shard_);
        unlink(*at, over ? Fate::expired : Fate::invalidated);
    }
}

}  // namespace larder::shm
