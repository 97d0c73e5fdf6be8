// What a process has for itself.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace larder::test {

/// Bytes of memory that are there and that no other process shares; 0: there is no such process.
inline std::uint64_t private_bytes_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t all = 0, resident = 0, shared = 0;
    file >> all >> resident >> shared;
    return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Of the process, by default of this one with the one that looks. Throws std::filesystem::filesystem_error: there
/// is no such process, or no descriptor is left to look with.
inline std::ptrdiff_t open_descriptors(const std::string& pid = "self") {
    using Entries = std::filesystem::directory_iterator;
    return std::distance(Entries("/proc/" + pid + "/fd"), Entries());
}

}  // namespace larder::test
