// What another process has for itself.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace larder::test {

/// Bytes of memory that are there and that no other process shares; 0: there is no such process.
inline std::uint64_t private_bytes_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t all = 0, resident = 0, shared = 0;
    file >> all >> resident >> shared;
    return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace larder::test
