// Smart TTL: how long a document may live, from how often what it is made of has changed so far.
#pragma once

#include <chrono>
#include <vector>

#include "core/assignment.hpp"

namespace larder {

struct TtlRange {
    std::chrono::milliseconds shortest{0}, longest{0};
    bool is_wanted() const { return longest.count() > 0; }
};

/// When submissions were handed in and graded, in no order.
std::vector<Timestamp> change_times(const AssignmentRecord& record);

/// A tenth of the mean time between the last 8 changes before `now`, the time since the last one included; within
/// `range`. Without a change: the longest. (The adaptive TTL of the Alex protocol, Cate 1992, which takes a share of
/// the age of the last change alone.)
std::chrono::milliseconds smart_ttl(std::vector<Timestamp> changes, Timestamp now, const TtlRange& range);

}  // namespace larder
