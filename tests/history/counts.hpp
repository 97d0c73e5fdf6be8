// What the cache has counted, beside what the processes say that they did.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shm/location.hpp"
#include "shm/segment.hpp"
#include "tests/history/checker.hpp"

namespace larder::history {

struct HitsMisses {
    std::uint64_t hits = 0, misses = 0;
    std::uint64_t all() const { return hits + misses; }
};

struct Counts {
    HitsMisses total;
    std::array<HitsMisses, kKeys> by_key{};
    std::uint64_t untracked = 0;  // lookups that no key has counted
};

/// Every segment that the cache has had, so that nothing counted in a replaced one is lost. Only looks.
class SegmentTrail {
public:
    explicit SegmentTrail(shm::Location location) : location_(std::move(location)) {}

    /// Takes note of the segment that the name leads to now. Between two replacements it must be called.
    void look();
    /// Exact while nobody looks anything up.
    Counts counts() const;

private:
    const shm::Location location_;
    std::vector<std::unique_ptr<shm::Segment>> segments_;
};

/// Sums that were compared, and those that are not as they must be: of what ended all is counted, of what did not end
/// at most all.
struct CountsJudgement {
    std::uint64_t sums = 0, wrong = 0;
    std::uint64_t lookups = 0, unfinished = 0;
    std::string first;  // wrong one, in words
};

void judge_counts(const History& history, const Counts& before, const Counts& after, CountsJudgement& judgement);

}  // namespace larder::history
