// What must be true of a segment whenever nobody writes to it, whatever happened to its processes before.
#pragma once

#include <string>

#include "shm/layout.hpp"

namespace larder::test {

/// The first violation found, in words; empty: directories, indexes, retired lists, heaps, gauges and arena states
/// agree. Only reads. REQUIRES: nobody writes meanwhile; after a death each shard was entered once.
std::string first_violation(const shm::SegmentView& view);

/// What a doctor finds first, in words; empty: at most notes.
std::string first_finding(const shm::SegmentView& view);

}  // namespace larder::test
