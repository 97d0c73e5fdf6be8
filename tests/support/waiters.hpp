// Whether somebody waits for another's computation.
#pragma once

#include <algorithm>
#include <vector>

#include "shm/inspector.hpp"

namespace larder::test {

inline bool somebody_waits(const shm::SegmentView& view) {
    const std::vector<shm::LeaseFacts> leases = shm::read_leases(view);
    return std::any_of(leases.begin(), leases.end(), [](const shm::LeaseFacts& lease) { return lease.waiters != 0; });
}

}  // namespace larder::test
