// A world of namespaces around a whole run: nothing of it is seen outside, and nothing of it is left.
#pragma once

#include <functional>
#include <string>

namespace larder::fleet {

/// Where the run keeps its files: a file system of its own in memory.
inline constexpr const char* kFiles = "/dev/shm";

/// The exit code of `run`, called in a child with namespaces of its own for processes, mounts (a fresh /dev/shm and
/// /proc), System V memory and the network. The kernel ends all that was started there as soon as the child has ended,
/// or the caller has, however that came about. -1: such namespaces cannot be made here, and `why`
/// says why not. REQUIRES: one thread.
int run_in_sandbox(const std::function<int()>& run, std::string& why);

}  // namespace larder::fleet
