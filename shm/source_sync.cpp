#include "shm/source_sync.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "shm/hash.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

constexpr std::int64_t kAdvanceNs = 50'000'000;  // less is not worth a write
// The newest mark that fits is the highest, but where its place was not written yet or ever (its writer is slow, or was
// killed), and has an older one: so many further back are looked at.
constexpr std::uint64_t kUnordered = 64;
constexpr std::int64_t kLongestNs = 100LL * 366 * 24 * 3600 * 1'000'000'000;

struct Mark {
    std::uint64_t notice, position;
};

/// Differs for words of two writes: a slot is believed only as one of them left it.
std::uint64_t check_of(const Mark& mark) {
    const std::array<std::uint64_t, 2> words = {mark.notice, mark.position};
    return hash_of({reinterpret_cast<const char*>(words.data()), sizeof words}, 1);
}

Mark load(const SyncMark& mark) {
    return {mark.notice.load(std::memory_order_relaxed), mark.position.load(std::memory_order_relaxed)};
}

bool is_whole(const SyncMark& slot, const Mark& mark) {
    return slot.check.load(std::memory_order_relaxed) == check_of(mark);
}

std::size_t place_of(std::uint64_t number) { return number == 0 ? 0 : 1 + (number - 1) % (kSyncMarks - 1); }

std::size_t kind_of(std::uint64_t position) { return position >> 63; }

std::chrono::milliseconds to_ms(std::int64_t ns) { return std::chrono::milliseconds(ns / 1'000'000); }

/// A store of what is there already would take the line from all who read it.
void set(Time64& word, std::int64_t ns) {
    if (word.load(std::memory_order_relaxed) != ns) word.store(ns, std::memory_order_release);
}

}  // namespace

void SourceSync::promise(std::int64_t degraded_after_ns, std::int64_t max_stale_ns) const {
    degraded_after_ns = std::min(degraded_after_ns, kLongestNs);
    set(header_->fresh_for_ns, degraded_after_ns + std::min(max_stale_ns, kLongestNs - degraded_after_ns));
    LARDER_CRASH_POINT("sync.promise");
    set(header_->degraded_after_ns, degraded_after_ns);
}

void SourceSync::advance(std::int64_t begun_ns) const {
    const std::int64_t degraded_after_ns = header_->degraded_after_ns.load(std::memory_order_relaxed);
    const std::int64_t step_ns = degraded_after_ns == 0 ? kAdvanceNs : std::min(kAdvanceNs, degraded_after_ns / 4);
    std::int64_t last_ns = header_->last_sync_ns.load(std::memory_order_relaxed);
    // Pairs with last_ns(): who sees it sees what was announced before. Each failure is progress of another one's.
    while (elapsed_ns(last_ns, begun_ns) >= std::max<std::int64_t>(step_ns, 1) &&
           !header_->last_sync_ns.compare_exchange_weak(last_ns, begun_ns, std::memory_order_release,
                                                        std::memory_order_relaxed)) {}
}

void SourceSync::mark(std::uint64_t notice, std::uint64_t position) const {
    SyncMarks& kept = header_->sync_marks[kind_of(position)];
    const std::uint64_t begun = kept.begun.load(std::memory_order_relaxed);
    if (begun != 0) {
        const SyncMark& slot = kept.marks[place_of(begun - 1)];
        const Mark last = load(slot);
        if (is_whole(slot, last) && last.notice >= notice) return;
    }
    const std::uint64_t number = kept.begun.fetch_add(1, std::memory_order_relaxed);
    LARDER_CRASH_POINT("sync.mark.begun");
    SyncMark& slot = kept.marks[place_of(number)];
    slot.notice.store(notice, std::memory_order_relaxed);
    LARDER_CRASH_POINT("sync.mark.notice");
    slot.position.store(position, std::memory_order_relaxed);
    LARDER_CRASH_POINT("sync.mark.position");
    slot.check.store(check_of({notice, position}), std::memory_order_relaxed);
    LARDER_CRASH_POINT("sync.marked");
}

std::optional<std::uint64_t> SourceSync::notice_seen_at(std::uint64_t position) const {
    const SyncMarks& kept = header_->sync_marks[kind_of(position)];
    const std::uint64_t begun = kept.begun.load(std::memory_order_relaxed);
    std::uint64_t last = std::min<std::uint64_t>(begun, kSyncMarks);
    std::optional<std::uint64_t> highest;
    for (std::uint64_t back = 1; back <= last; ++back) {
        const SyncMark& slot = kept.marks[back == kSyncMarks ? 0 : place_of(begun - back)];
        const Mark mark = load(slot);
        if (mark.position == 0 || mark.position > position || (highest && mark.notice <= *highest)) continue;
        if (!is_whole(slot, mark)) continue;
        if (!highest) last = std::min(last, back + kUnordered);
        highest = mark.notice;
    }
    return highest;
}

/// A replica's reading says nothing of what the source had committed by then.
bool SourceSync::was_read_within(const Record& record, std::int64_t fresh_for_ns, std::int64_t now_ns) {
    return (record.flags & kReplica) == 0 && record.read_ns != 0 && elapsed_ns(record.read_ns, now_ns) < fresh_for_ns;
}

std::optional<SyncState> SourceSync::state(std::int64_t now_ns) const {
    const std::int64_t degraded_after_ns = header_->degraded_after_ns.load(std::memory_order_relaxed);
    if (degraded_after_ns == 0) return std::nullopt;
    SyncState state;
    state.degraded_after = to_ms(degraded_after_ns);
    state.max_stale = to_ms(elapsed_ns(degraded_after_ns, header_->fresh_for_ns.load(std::memory_order_relaxed)));
    const std::int64_t last_sync_ns = last_ns();
    const std::int64_t age_ns = elapsed_ns(last_sync_ns, now_ns);
    if (last_sync_ns != kNeverSynced) state.age = to_ms(std::max<std::int64_t>(age_ns, 0));
    state.degraded = age_ns >= degraded_after_ns;
    return state;
}

}  // namespace larder::shm
