// EntryCursor: copies of a segment's entries, taken without a lock, a registration, a count or a change of recency.
//
// Works on a read-only mapping, while writers hang, and while the owner of a lock is dead: slots are walked in their
// order, each record is copied word by word, and the copy counts only if the slot and the record's id are unchanged
// afterwards (protocol.md 1); four tries, then it is passed over. Every offset and length is checked before it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/layout.hpp"

namespace larder::shm {

enum class EntryState : std::uint8_t { live, stale, negative, expired, invalidated };
std::string_view name_of(EntryState state);

/// One entry as it was at one moment. Times are those of the segment's clock.
struct Entry {
    std::string key;
    std::string value;  ///< empty unless asked for
    std::vector<std::string> tags;
    std::uint64_t value_bytes = 0;
    std::int64_t created_ns = 0;
    std::int64_t expires_ns = 0;
    std::int64_t soft_expires_ns = 0;          ///< the maximum: none
    std::optional<std::int64_t> last_used_ns;  ///< to 128 ms; absent with strict recency, which counts uses instead
    std::uint64_t as_of = 0;                   ///< notice number before its source was read
    std::uint64_t checksum = 0;                ///< XXH3 of the value, as published
    std::uint64_t hash = 0;
    std::uint64_t arena_offset = 0;        ///< from the segment's start
    std::uint32_t key_entry = kUntracked;  ///< in the key table
    std::uint32_t shard = 0;
    EntryState state = EntryState::live;
};

struct EntryFilter {
    std::string prefix;      ///< of the key
    bool values = false;     ///< copy values, too
    bool dead = false;       ///< expired and invalidated entries, too
    bool checksums = false;  ///< none whose value does not match its checksum
};

/// What one slot led to.
enum class SlotFinding : std::uint8_t {
    empty,
    entry,
    changing,  ///< changed during each of four tries
    outside,   ///< names no place where a record of this segment can be
    damaged,   ///< the record's lengths contradict each other, or its key does not belong to this slot
};

struct SlotCopy {
    SlotFinding finding = SlotFinding::empty;
    Entry entry;
};

/// Copies what one slot of a shard's directory names.
SlotCopy copy_slot(const SegmentView& view, std::uint32_t shard, std::uint32_t slot, bool with_value,
                   std::int64_t now_ns);

/// The entry of one key, dead or alive; nullopt: none, or it kept changing.
std::optional<Entry> find_entry(const SegmentView& view, std::string_view key, bool with_value, std::int64_t now_ns);
/// The same of one whose hash alone is known, without its value.
std::optional<Entry> find_hashed(const SegmentView& view, std::uint64_t hash, std::int64_t now_ns);

/// A walk over all entries, page by page. One that is moved during the walk may be missed or come twice; whatever stays
/// in place comes exactly once. Memory: one page, which ends early once its values pass a megabyte.
class EntryCursor {
public:
    EntryCursor(SegmentView view, EntryFilter filter) : view_(view), filter_(std::move(filter)) {}

    /// At most `limit` entries (> 0) with their states at `now_ns`; empty: that was all.
    std::vector<Entry> next(std::size_t limit, std::int64_t now_ns);

    /// Slots walked, and of how many: for a progress bar.
    std::uint64_t walked() const;
    std::uint64_t total() const;

private:
    static constexpr std::uint64_t kPageBytes = 1 << 20;
    bool wanted(const Entry& entry) const;

    SegmentView view_;
    EntryFilter filter_;
    std::uint32_t shard_ = 0, slot_ = 0;
};

}  // namespace larder::shm
