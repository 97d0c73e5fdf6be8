#include "shm/doctor.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "shm/cache.hpp"
#include "shm/directory.hpp"
#include "shm/elapsed.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/hash.hpp"
#include "shm/inspector.hpp"
#include "shm/process.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"

namespace larder::shm {
namespace {

constexpr int kLooks = 3;
constexpr std::int64_t kLookAgainNs = 50'000'000;
constexpr std::int64_t kPatienceNs = 500'000'000;
constexpr std::int64_t kFarNs = 60'000'000'000;
constexpr std::size_t kExamples = 3;  // of one kind, that are told one by one

std::string number(std::uint64_t value) { return std::to_string(value); }

/// Time for second looks, shared by all that need one.
class Patience {
public:
    explicit Patience(const Examination& examination) : examination_(examination) {}
    void wait(std::int64_t ns) {
        if (left_ns_ < ns) return;
        left_ns_ -= ns;
        pause(examination_, ns);
    }

private:
    const Examination& examination_;
    std::int64_t left_ns_ = kPatienceNs;
};

/// Findings of one kind in one shard: the first of them are named, the rest are counted.
struct Tally {
    std::uint64_t count = 0;
    std::string examples;
    void add(const std::string& example) {
        if (++count <= kExamples) examples += (examples.empty() ? "" : ", ") + example;
    }
    std::string text() const { return number(count) + " (" + examples + (count > kExamples ? ", ...)" : ")"); }
};

/// The findings of one shard's directory.
class DirectoryCheck {
public:
    DirectoryCheck(const SegmentView& view, std::uint32_t shard, const Examination& examination, Patience& patience)
        : view_(view), shard_(shard), examination_(examination), patience_(patience) {}

    void run(std::vector<Finding>& findings) {
        for (std::uint32_t slot = 0; slot < view_.geometry->directory_slots; ++slot) look_at(slot);
        const std::string where = " of shard " + number(shard_);
        const std::string remedy =
            "Remove the cache when it can be done without (`larder rm --force`); it is made anew.";
        report(findings, outside_, "slot_outside", "slots" + where + " name no place of a record: ", remedy);
        report(findings, damaged_, "record_damaged", "slots" + where + " lead to damaged records: ", remedy);
        report(findings, unreachable_, "entry_unreachable",
               "entries" + where + " are behind a gap in their probe: ", remedy);
        report(findings, checksum_, "checksum_mismatch",
               "values" + where + " do not match their checksum: ", remedy + " Then check the machine's memory.");
        check_gauge(findings);
    }

private:
    static void report(std::vector<Finding>& findings, const Tally& tally, const char* name, const std::string& what,
                       const std::string& remedy) {
        if (tally.count != 0) findings.push_back({name, Severity::error, what + tally.text() + ".", remedy});
    }

    void look_at(std::uint32_t slot) {
        const SlotCopy copy = copy_slot(view_, shard_, slot, examination_.checksums, examination_.now_ns);
        const std::string place = "slot " + number(slot);
        switch (copy.finding) {
        case SlotFinding::empty:
        case SlotFinding::changing:
            return;
        case SlotFinding::outside:
            return outside_.add(place);
        case SlotFinding::damaged:
            return damaged_.add(place);
        case SlotFinding::entry:
            break;
        }
        if (!is_plausible(copy.entry)) damaged_.add(place);
        if (!reachable(slot, copy.entry)) unreachable_.add(place);
        if (examination_.checksums && checksum_of(copy.entry.value) != copy.entry.checksum) checksum_.add(place);
    }

    /// It was made before now, to end after that, from a source read after a notice that was given. A minute is for
    /// writers that had to wait.
    bool is_plausible(const Entry& entry) const {
        return elapsed_ns(examination_.now_ns, entry.created_ns) <= kFarNs &&
               elapsed_ns(entry.expires_ns, entry.created_ns) <= kFarNs &&
               entry.as_of <= view_.header().notice_number.load(std::memory_order_acquire);
    }

    /// A probe from the entry's home gets to its slot. Writers fill and shift meanwhile: only a gap that is there at
    /// every look, with the entry's slot unchanged, is one.
    bool reachable(std::uint32_t slot, const Entry& entry) {
        const Word64* const slots = view_.directory(shard_);
        const std::uint32_t mask = view_.geometry->directory_slots - 1;
        const std::uint64_t word = slots[slot].load(std::memory_order_acquire);
        if (slot_units(word) * kUnitBytes != entry.arena_offset) return true;
        const auto home = static_cast<std::uint32_t>(entry.hash) & mask;
        for (int look = 0; look < kLooks; ++look) {
            bool gap = ((slot - home) & mask) > kMaxProbe;
            for (std::uint32_t at = home; at != slot && !gap; at = (at + 1) & mask)
                gap = slots[at].load(std::memory_order_acquire) == 0;
            if (!gap || slots[slot].load(std::memory_order_acquire) != word) return true;
            patience_.wait(1'000'000);
        }
        return false;
    }

    /// The gauge is what the slots add up to. While writers write it cannot be told.
    void check_gauge(std::vector<Finding>& findings) {
        for (int look = 0; look < kLooks; ++look) {
            const ShardFacts before = read_shard(view_, shard_);
            const std::uint64_t counted = count_slots();
            const ShardFacts after = read_shard(view_, shard_);
            if (before.mutating || after.mutating) return;
            if (before.entries != after.entries || before.moves != after.moves) continue;
            if (counted == after.entries) return;
            if (look + 1 == kLooks)
                findings.push_back({"gauge_mismatch", Severity::error,
                                    "Shard " + number(shard_) + " says it has " + number(after.entries) +
                                        " entries, its directory has " + number(counted) + ".",
                                    "Reads are right; remove the cache when it can be done without, since limits may "
                                    "be applied wrongly."});
            patience_.wait(kLookAgainNs);
        }
    }

    std::uint64_t count_slots() const {
        const Word64* const slots = view_.directory(shard_);
        return static_cast<std::uint64_t>(
            std::count_if(slots, slots + view_.geometry->directory_slots,
                          [](const Word64& word) { return word.load(std::memory_order_relaxed) != 0; }));
    }

    const SegmentView& view_;
    std::uint32_t shard_;
    const Examination& examination_;
    Patience& patience_;
    Tally outside_, damaged_, unreachable_, checksum_;
};

/// Every shard has an arena that says it is this shard's. Looked at again: a rebuild changes both words.
void examine_arenas(const SegmentView& view, Patience& patience, std::vector<Finding>& findings) {
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        bool right = false;
        for (int look = 0; look < kLooks && !right; ++look) {
            if (look != 0) patience.wait(kLookAgainNs);
            const ShardFacts shard = read_shard(view, i);
            right = shard.mutating || shard.closed;
            if (right || shard.arena >= view.geometry->arenas) continue;
            const std::uint64_t state = view.arena_state(shard.arena).word.load(std::memory_order_acquire);
            right = arena_kind(state) == ArenaKind::owned && arena_shard(state) == i;
        }
        if (!right)
            findings.push_back(
                {"arena_owner", Severity::error, "Shard " + number(i) + " uses an arena that is not marked as its own.",
                 "Remove the cache when it can be done without (`larder rm --force`); it is made anew."});
    }
}

void examine_header(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings) {
    const SegmentHeader& header = view.header();
    if (header.everything.load(std::memory_order_acquire) == std::numeric_limits<std::uint64_t>::max())
        findings.push_back({"closed_for_good", Severity::error,
                            "The segment was closed: nothing in it is served any more.",
                            "Programs make a new one when they open the cache; `larder rm` removes the old files."});
    if (header.open_at_ns.load(std::memory_order_relaxed) > examination.now_ns)
        findings.push_back({"not_open_yet", Severity::info, "The segment replaced another and takes no values yet.",
                            "Nothing: it opens within a second."});
}

}  // namespace

std::string_view name_of(Severity severity) {
    switch (severity) {
    case Severity::info:
        return "info";
    case Severity::warning:
        return "warning";
    case Severity::error:
        return "error";
    }
    return "error";
}

void pause(const Examination& examination, std::int64_t ns) {
    examination.pause ? examination.pause(ns) : system::sleep_ns(ns);
}

void examine_directories(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings) {
    Patience patience(examination);
    for (std::uint32_t shard = 0; shard < view.geometry->shards; ++shard) {
        if (examination.progress) examination.progress(shard, view.geometry->shards);
        DirectoryCheck(view, shard, examination, patience).run(findings);
    }
    examine_arenas(view, patience, findings);
}

std::vector<Finding> examine(const SegmentView& view, const Examination& examination) {
    std::vector<Finding> findings;
    examine_header(view, examination, findings);
    examine_control(view, examination, findings);
    examine_directories(view, examination, findings);
    examine_processes(view, examination, findings);
    examine_traffic(view, examination, findings);
    std::stable_sort(findings.begin(), findings.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    return findings;
}

}  // namespace larder::shm
