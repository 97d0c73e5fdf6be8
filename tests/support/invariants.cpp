#include "tests/support/invariants.hpp"

#include <set>
#include <stdexcept>

#include "shm/arena.hpp"
#include "shm/directory.hpp"
#include "shm/doctor.hpp"
#include "shm/entry_index.hpp"
#include "shm/hash.hpp"
#include "shm/record.hpp"
#include "shm/system.hpp"

namespace larder::test {

using namespace larder::shm;

namespace {

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void require(bool condition, const std::string& what) {
    if (!condition) throw Violation(what);
}

class ShardCheck {
public:
    ShardCheck(const SegmentView& view, std::uint32_t index)
        : view_(view),
          index_(index),
          shard_(view.shard(index)),
          slots_(view.directory(index)),
          arena_(shard_.arena.load()) {}

    void run() {
        require(shard_.mutating.load() == 0, "mutating is set");
        require(shard_.moves.load() % 2 == 0, "moves is odd");
        require(shard_.reserved == 0, "a record is still reserved");
        require(arena_ < view_.geometry->arenas, "no such arena");
        if (shard_.closed.load() != 0) {
            for (std::uint32_t slot = 0; slot < view_.geometry->directory_slots; ++slot)
                require(slots_[slot].load() == 0, "closed, but its directory names records");
            return;
        }
        const std::uint64_t state = view_.arena_state(arena_).word.load();
        require(arena_kind(state) == ArenaKind::owned && arena_shard(state) == index_, "its arena is not its own");
        check_directory();
        check_index();
        check_retired();
        check_heaps();
    }

private:
    Record& record_at(std::uint64_t units) const {
        const std::uint64_t offset = units * kUnitBytes;
        const std::uint64_t first = view_.geometry->arenas_at + arena_ * view_.geometry->arena_bytes;
        const std::uint64_t last = first + view_.geometry->arena_bytes;
        require(offset >= first + view_.geometry->node_bytes && offset + sizeof(Record) <= last,
                "a record outside of its shard's arena");
        Record& record = *view_.at<Record>(offset);
        require(record_fits(record, last - offset), "a record whose lengths do not fit");
        return record;
    }

    void check_directory() {
        const std::uint32_t mask = view_.geometry->directory_slots - 1;
        for (std::uint32_t slot = 0; slot <= mask; ++slot) {
            const std::uint64_t word = slots_[slot].load();
            if (word == 0) continue;
            const Record& record = record_at(slot_units(word));
            require(named_.insert(slot_units(word)).second, "two slots name one record");
            const std::uint64_t hash = hash_of(key_of(record), view_.header().hash_seed);
            require(record.hash == hash, "a record's hash is not its key's");
            require(shm::shard_of(hash, view_.geometry->shards) == index_, "a record in the wrong shard");
            require(slot_tag(word) == tag_of(hash), "a slot's tag is not its key's");
            require(checksum_of(value_of(record)) == record.checksum, "a value does not match its checksum");
            const std::uint32_t home = static_cast<std::uint32_t>(hash) & mask;
            require(((slot - home) & mask) < kMaxProbe, "a record further from its home than probes go");
            for (std::uint32_t at = home; at != slot; at = (at + 1) & mask)
                require(slots_[at].load() != 0, "a hole between a record and its home");
            payload_bytes_ += record.key_bytes + std::uint64_t{record.value_bytes};
        }
    }

    void check_index() const {
        const EntryIndex& index = entry_index(view_.arena(arena_));
        require(index.size() == named_.size(), "index and directory have different numbers of entries");
        require(shard_.entries.load() == named_.size(), "the gauge of entries is wrong");
        require(shard_.payload_bytes.load() == payload_bytes_, "the gauge of bytes is wrong");
        std::size_t by_expiry = 0, by_recency = 0;
        for (const IndexEntry& entry : index.get<ByKey>()) {
            const auto* at = reinterpret_cast<const std::byte*>(entry.record.get());
            const auto units = static_cast<std::uint64_t>(at - view_.base) / kUnitBytes;
            require(named_.count(units) == 1, "the index names a record that the directory does not");
            const auto found = index.get<ByKey>().find(entry.key());
            require(found != index.get<ByKey>().end() && &*found == &entry, "the index does not find its own key");
            require(entry.expires_ns == entry.record->expires_ns, "the index has another expiry than the record");
            require(entry.stamp <= entry.record->last_used.load(), "the index has a later use than the record");
        }
        for (auto at = index.get<ByExpiry>().begin(); at != index.get<ByExpiry>().end(); ++at) ++by_expiry;
        for (auto at = index.get<ByRecency>().begin(); at != index.get<ByRecency>().end(); ++at) ++by_recency;
        require(by_expiry == named_.size() && by_recency == named_.size(), "the orders of the index lack entries");
    }

    void check_retired() const {
        std::set<std::uint64_t> seen;
        std::uint64_t units = shard_.retired_first, last = 0;
        for (std::uint32_t n = 0; n < shard_.retired_count; ++n, units = record_at(units).next_retired) {
            record_at(units);
            require(named_.count(units) == 0, "a retired record is in the directory");
            require(seen.insert(units).second, "the retired list bites its tail");
            last = units;
        }
        require(seen.empty() || last == shard_.retired_last, "the retired list ends elsewhere");
    }

    // Opened as the writers do; nothing is written but locks that are none.
    void check_heaps() const {
        namespace ipc = boost::interprocess;
        const Geometry& geometry = *view_.geometry;
        std::byte* const base = view_.arena(arena_);
        Heap nodes(ipc::open_only, base + kLineBytes, geometry.node_bytes - kLineBytes);
        Heap records(ipc::open_only, base + geometry.node_bytes, geometry.arena_bytes - geometry.node_bytes);
        require(nodes.check_sanity(), "the heap of nodes is damaged");
        require(records.check_sanity(), "the heap of records is damaged");
        const std::uint64_t used_bytes = shard_.arena_used_bytes.load();
        const bool never_entered = used_bytes == 0 && named_.empty();
        require(never_entered || used_bytes == records.get_size() - records.get_free_memory(),
                "the gauge of used bytes is wrong");
    }

    const SegmentView& view_;
    const std::uint32_t index_;
    Shard& shard_;
    const Word64* const slots_;
    const std::uint32_t arena_;
    std::set<std::uint64_t> named_;
    std::uint64_t payload_bytes_ = 0;
};

void check_arenas(const SegmentView& view) {
    std::uint32_t owned = 0, open = 0;
    for (std::uint32_t i = 0; i < view.geometry->arenas; ++i) {
        const std::uint64_t state = view.arena_state(i).word.load();
        if (arena_kind(state) != ArenaKind::owned) continue;
        ++owned;
        const std::uint32_t shard = arena_shard(state);
        require(shard < view.geometry->shards && view.shard(shard).arena.load() == i,
                "arena " + std::to_string(i) + " is owned by a shard that does not use it");
    }
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) open += view.shard(i).closed.load() == 0 ? 1 : 0;
    require(owned == open, "an arena is lost");
}

}  // namespace

std::string first_violation(const SegmentView& view) {
    try {
        for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
            try {
                ShardCheck(view, i).run();
            } catch (const Violation& violation) {
                return "shard " + std::to_string(i) + ": " + violation.what();
            }
        }
        check_arenas(view);
    } catch (const Violation& violation) {
        return violation.what();
    }
    return {};
}

std::string first_finding(const SegmentView& view) {
    for (const Finding& one : examine(view, {true, system::coarse_ns(), {}, {}}))
        if (one.severity != Severity::info) return "the doctor finds " + one.name + ": " + one.what;
    return {};
}

}  // namespace larder::test
