// AssignmentRates: how often the documents of assignments were found in the last 24 hours, of those asked for most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/assignment.hpp"
#include "shm/layout.hpp"

namespace larder::tools {

struct AssignmentRate {
    AssignmentId id = 0;
    std::uint64_t hits = 0, misses = 0;
    bool is_counted = true;      ///< false: the key table had no room for it, and nothing is known
    std::uint64_t key_hash = 0;  ///< of its document's key
    std::uint64_t lookups() const { return hits + misses; }
};

/// Walks its assignments a slice a look, so that a look costs the same however many there are; the ones that are shown
/// are looked at each time. Only loads.
class AssignmentRates {
public:
    static constexpr std::size_t kSlice = 4'096, kShown = 100;

    /// From now on of these; the walk goes on where it was. REQUIRES: ascending.
    void set_ids(std::vector<AssignmentId> ids);
    /// `now_ns`: of the segment's clock.
    void look(const shm::SegmentView& view, std::int64_t now_ns);
    /// At most kShown, those asked for most first; of equals the lower id.
    const std::vector<AssignmentRate>& rows() const { return rows_; }

private:
    std::vector<AssignmentId> ids_;
    std::size_t next_ = 0;  // the first of the next slice
    std::vector<AssignmentRate> rows_;
};

}  // namespace larder::tools
