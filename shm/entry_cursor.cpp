#include "shm/entry_cursor.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "shm/directory.hpp"
#include "shm/fences.hpp"
#include "shm/hash.hpp"
#include "shm/record.hpp"
#include "shm/record_copy.hpp"
#include "shm/source_sync.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr int kTries = 4;

/// Private memory that a record is copied into, aligned as the record is.
class CopyBuffer {
public:
    /// Keeps what was copied before. REQUIRES: `from` is a multiple of 8.
    void copy(const std::byte* source, std::uint64_t from, std::uint64_t to) {
        words_.resize((to + 7) / 8);
        copy_words(source + from, words_.data() + from / 8, to - from);
    }
    const Record& record() const { return *reinterpret_cast<const Record*>(words_.data()); }

private:
    std::vector<std::uint64_t> words_;
};

EntryState state_of(const SegmentView& view, const Record& record, std::int64_t now_ns) {
    const bool is_late = SourceSync(view).is_late(record, now_ns);  // before the fences, as in a lookup
    if (Fences(view).highest(record) > record.as_of) return EntryState::invalidated;
    if (is_late) return EntryState::expired;
    if (now_ns >= record.expires_ns) {
        const std::int64_t grace_ns = record.stale_if_error_ms * 1'000'000LL;
        return now_ns - grace_ns < record.expires_ns ? EntryState::stale : EntryState::expired;
    }
    if ((record.flags & kNegative) != 0) return EntryState::negative;
    return now_ns >= record.soft_expires_ns ? EntryState::stale : EntryState::live;
}

Entry entry_of(const SegmentView& view, const Record& record, bool with_value, std::int64_t now_ns) {
    Entry entry;
    entry.key = key_of(record);
    if (with_value) entry.value = value_of(record);
    for_each_tag(record, [&entry](std::string_view tag) { entry.tags.emplace_back(tag); });
    entry.value_bytes = record.value_bytes;
    entry.created_ns = record.created_ns;
    entry.expires_ns = record.expires_ns;
    entry.soft_expires_ns = record.soft_expires_ns;
    if (view.geometry->strict_recency == 0)
        entry.last_used_ns = static_cast<std::int64_t>(
                                 std::min<std::uint64_t>(record.last_used.load(std::memory_order_relaxed),
                                                         std::numeric_limits<std::int64_t>::max() / kRecencyStepNs)) *
                             kRecencyStepNs;
    entry.as_of = record.as_of;
    entry.checksum = record.checksum;
    entry.hash = record.hash;
    entry.key_entry = record.key_entry;
    entry.state = state_of(view, record, now_ns);
    return entry;
}

/// Copies the record at `offset`: the fixed fields first, the rest by the lengths that they give once those are
/// checked.
SlotFinding copy_record(const SegmentView& view, std::uint64_t offset, bool with_value, CopyBuffer& buffer) {
    const std::uint64_t room = record_room(*view.geometry, offset);
    if (room == 0) return SlotFinding::outside;
    const std::byte* const source = view.base + offset;
    buffer.copy(source, 0, sizeof(Record));
    if (!record_fits(buffer.record(), room)) return SlotFinding::damaged;
    const RecordShape shape = shape_of(buffer.record());
    const std::uint64_t end = with_value ? shape.total() : shape.value_at();
    buffer.copy(source, sizeof(Record), end);
    return SlotFinding::entry;
}

/// The word names the record that was copied, still.
bool unchanged(const SegmentView& view, const Word64& slot, std::uint64_t word, std::uint64_t id) {
    // The loads of the copy stay before the re-check's; pairs with the writer's release of the word.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.load(std::memory_order_relaxed) != word) return false;
    const std::uint64_t offset = slot_units(word) * kUnitBytes;
    return record_room(*view.geometry, offset) == 0 || view.at<Word64>(offset)->load(std::memory_order_relaxed) == id;
}

bool belongs(const SegmentView& view, const Record& record, std::uint32_t shard, std::uint64_t word) {
    const std::uint64_t hash = hash_of(key_of(record), view.header().hash_seed);
    return record.hash == hash && shard_of(hash, view.geometry->shards) == shard && tag_of(hash) == slot_tag(word);
}

}  // namespace

std::string_view name_of(EntryState state) {
    switch (state) {
    case EntryState::live:
        return "live";
    case EntryState::stale:
        return "stale";
    case EntryState::negative:
        return "negative";
    case EntryState::expired:
        return "expired";
    case EntryState::invalidated:
        return "invalidated";
    }
    return "live";
}

SlotCopy copy_slot(const SegmentView& view, std::uint32_t shard, std::uint32_t slot, bool with_value,
                   std::int64_t now_ns) {
    const Word64& place = view.directory(shard)[slot];
    CopyBuffer buffer;
    for (int attempt = 0; attempt < kTries; ++attempt) {
        const std::uint64_t word = place.load(std::memory_order_acquire);
        if (word == 0) return {};
        SlotCopy copy;
        const std::uint64_t offset = slot_units(word) * kUnitBytes;
        copy.finding = copy_record(view, offset, with_value, buffer);
        LARDER_CRASH_POINT("entry.copied");
        const bool copied = copy.finding == SlotFinding::entry;
        // A record that seems damaged is so only if nobody replaced it while it was looked at.
        const std::uint64_t id = copy.finding == SlotFinding::outside ? 0 : buffer.record().id;
        if (!unchanged(view, place, word, id)) continue;
        if (copied && !belongs(view, buffer.record(), shard, word)) copy.finding = SlotFinding::damaged;
        if (copied) {
            copy.entry = entry_of(view, buffer.record(), with_value, now_ns);
            copy.entry.shard = shard;
        }
        copy.entry.arena_offset = offset;
        return copy;
    }
    return {SlotFinding::changing, {}};
}

namespace {

/// The entry with this hash that `is_wanted`.
template <class IsWanted>
std::optional<Entry> find_where(const SegmentView& view, std::uint64_t hash, bool with_value, std::int64_t now_ns,
                                IsWanted&& is_wanted) {
    const std::uint32_t shard = shard_of(hash, view.geometry->shards);
    const std::uint32_t mask = view.geometry->directory_slots - 1;
    Word64& moves = view.shard(shard).moves;
    for (int attempt = 0; attempt < kTries; ++attempt) {
        const std::uint64_t before = moves.load(std::memory_order_acquire);
        for (std::uint32_t step = 0; step <= std::min(kMaxProbe, mask); ++step) {
            const std::uint32_t slot = (static_cast<std::uint32_t>(hash) + step) & mask;
            const std::uint64_t word = view.directory(shard)[slot].load(std::memory_order_relaxed);
            if (word == 0) break;
            if (slot_tag(word) != tag_of(hash)) continue;
            SlotCopy copy = copy_slot(view, shard, slot, with_value, now_ns);
            if (copy.finding == SlotFinding::entry && is_wanted(copy.entry)) return std::move(copy.entry);
        }
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && moves.load(std::memory_order_relaxed) == before) return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Entry> find_entry(const SegmentView& view, std::string_view key, bool with_value, std::int64_t now_ns) {
    return find_where(view, hash_of(key, view.header().hash_seed), with_value, now_ns,
                      [key](const Entry& entry) { return entry.key == key; });
}

std::optional<Entry> find_hashed(const SegmentView& view, std::uint64_t hash, std::int64_t now_ns) {
    return find_where(view, hash, false, now_ns, [hash](const Entry& entry) { return entry.hash == hash; });
}

std::vector<Entry> EntryCursor::next(std::size_t limit, std::int64_t now_ns) {
    std::vector<Entry> page;
    std::uint64_t bytes = 0;
    for (; shard_ < view_.geometry->shards; ++shard_, slot_ = 0) {
        while (slot_ < view_.geometry->directory_slots) {
            SlotCopy copy = copy_slot(view_, shard_, slot_++, filter_.values || filter_.checksums, now_ns);
            if (copy.finding != SlotFinding::entry || !wanted(copy.entry)) continue;
            if (!filter_.values) copy.entry.value.clear();
            bytes += copy.entry.value.size();
            page.push_back(std::move(copy.entry));
            if (page.size() >= limit || bytes >= kPageBytes) return page;
        }
    }
    return page;
}

bool EntryCursor::wanted(const Entry& entry) const {
    if (entry.key.compare(0, filter_.prefix.size(), filter_.prefix) != 0) return false;
    if (filter_.checksums && checksum_of(entry.value) != entry.checksum) return false;
    return filter_.dead || (entry.state != EntryState::expired && entry.state != EntryState::invalidated);
}

std::uint64_t EntryCursor::walked() const {
    return static_cast<std::uint64_t>(shard_) * view_.geometry->directory_slots + slot_;
}

std::uint64_t EntryCursor::total() const {
    return static_cast<std::uint64_t>(view_.geometry->shards) * view_.geometry->directory_slots;
}

}  // namespace larder::shm
