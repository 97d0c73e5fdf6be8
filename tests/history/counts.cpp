#include "tests/history/counts.hpp"

#include "shm/counters.hpp"
#include "shm/hash.hpp"
#include "shm/key_table.hpp"
#include "shm/system.hpp"

namespace larder::history {
namespace {

/// As interfaces say: the caller was given a live value at once, a stale one included; not what stands in for a failed
/// computation, nor what another's computation gave.
bool is_hit(const Operation& lookup) {
    if (lookup.state == State::none || lookup.source != Source::hit) return false;
    return lookup.kind != Kind::compute || lookup.state != State::stale || use_of(lookup.key) != Use::failing;
}

/// What the logs say: the least that must be counted, and what may be besides.
struct Expected {
    HitsMisses total;
    std::array<HitsMisses, kKeys> by_key{};
    std::uint64_t unfinished = 0;
    std::array<std::uint64_t, kKeys> unfinished_by_key{};
};

Expected expected_of(const History& history) {
    Expected expected;
    for (const auto& log : history.logs)
        for (const Operation& one : log) {
            if (!is_lookup(one.kind)) continue;
            if (!one.has_ended()) {
                ++expected.unfinished;
                ++expected.unfinished_by_key[one.key];
                continue;
            }
            for (HitsMisses* const sum : {&expected.total, &expected.by_key[one.key]})
                ++(is_hit(one) ? sum->hits : sum->misses);
        }
    return expected;
}

class CountsCheck {
public:
    CountsCheck(std::uint32_t round, CountsJudgement& judgement) : round_(round), judgement_(judgement) {}

    void between(std::uint64_t counted, std::uint64_t least, std::uint64_t more, const std::string& what) {
        ++judgement_.sums;
        if (counted >= least && counted <= least + more) return;
        ++judgement_.wrong;
        if (!judgement_.first.empty()) return;
        judgement_.first = "round " + std::to_string(round_) + ": " + std::to_string(counted) + " " + what +
                           " were counted, " + std::to_string(least) + " have ended and " + std::to_string(more) +
                           " have not";
    }

private:
    const std::uint32_t round_;
    CountsJudgement& judgement_;
};

}  // namespace

void SegmentTrail::look() try {
    auto segment = std::make_unique<shm::Segment>(shm::Segment::attach_read_only(location_.segment_path()));
    for (const auto& known : segments_)
        if (known->file() == segment->file()) return;
    segments_.push_back(std::move(segment));
} catch (const OpenError&) {  // there is none just now
}

Counts SegmentTrail::counts() const {
    Counts counts;
    for (const auto& segment : segments_) {
        const shm::SegmentView& view = segment->view();
        const shm::CounterTotals totals = shm::read_totals(view);
        counts.total.hits += totals[shm::Counter::hits];
        counts.total.misses += totals.misses();
        counts.untracked += totals[shm::Counter::untracked_lookups];
        const shm::KeyTable keys(view);
        for (std::uint32_t key = 0; key < kKeys; ++key) {
            const std::uint64_t hash = shm::hash_of(key_of(key), view.header().hash_seed);
            const std::uint32_t shard = shm::shard_of(hash, view.geometry->shards);
            const KeyUse use = keys.use(hash, shard, shm::system::coarse_ns());
            counts.by_key[key].hits += use.hits;
            counts.by_key[key].misses += use.misses;
        }
    }
    return counts;
}

void judge_counts(const History& history, const Counts& before, const Counts& after, CountsJudgement& judgement) {
    const Expected expected = expected_of(history);
    judgement.lookups += expected.total.all();
    judgement.unfinished += expected.unfinished;
    CountsCheck check(history.round, judgement);
    check.between(after.total.hits - before.total.hits, expected.total.hits, expected.unfinished, "hits");
    check.between(after.total.misses - before.total.misses, expected.total.misses, expected.unfinished, "misses");
    check.between(after.total.all() - before.total.all(), expected.total.all(), expected.unfinished, "lookups");
    std::uint64_t counted = after.untracked - before.untracked;
    for (std::uint32_t key = 0; key < kKeys; ++key) {
        const std::uint64_t hits = after.by_key[key].hits - before.by_key[key].hits;
        const std::uint64_t misses = after.by_key[key].misses - before.by_key[key].misses;
        const std::uint64_t unfinished = expected.unfinished_by_key[key];
        check.between(hits, expected.by_key[key].hits, unfinished, "hits of " + key_of(key));
        // Those before a key's first value are nobody's.
        check.between(misses, 0, expected.by_key[key].misses + unfinished, "misses of " + key_of(key));
        counted += hits + misses;
    }
    check.between(counted, expected.total.all(), expected.unfinished, "lookups of keys, with those of none,");
}

}  // namespace larder::history
