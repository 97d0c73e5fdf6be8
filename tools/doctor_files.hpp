// The doctor's look at a cache's files: directory, file system, modes, socket.
#pragma once

#include <vector>

#include "shm/doctor.hpp"
#include "shm/location.hpp"

namespace larder::tools {

/// REQUIRES: the segment's file is there.
std::vector<shm::Finding> examine_files(const shm::Location& location);

/// The lock file is there while the segment's processes need it.
void examine_lock(const shm::Location& location, const shm::SegmentView& view, std::vector<shm::Finding>& findings);

}  // namespace larder::tools
