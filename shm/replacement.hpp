// Taking a segment out of service: nothing in it is ever served again, then its name goes.
#pragma once

#include <chrono>

#include "shm/location.hpp"
#include "shm/lock_file.hpp"
#include "shm/segment.hpp"

namespace larder::shm {

/// Closes the segment for good and removes its name, if that still leads to it. Processes that have it mapped notice
/// within kLookNs. Throws OpenError "attach" when another process has been at it for `patience`. REQUIRES:
/// process::Lock held.
void retire_segment(const Location& location, LockFile& lock_file, const Segment& segment,
                    std::chrono::milliseconds patience);

/// For `larder rm`: retires the cache whoever uses it, and removes its socket. The lock files stay: they are opened
/// once a process, and others may hold theirs. False: there was none. Throws OpenError, also when another thread or
/// process has been opening or replacing it for `patience`.
bool remove_cache(const Location& location, std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace larder::shm
