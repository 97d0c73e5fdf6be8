#include "bench/machine.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace larder::bench {
namespace {

/// The text behind "model name : ".
std::string processor() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
            return line.substr(line.find(": ") + 2);
    return "unknown processor";
}

std::string compiler() {
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
}

}  // namespace

std::string machine_text() {
    utsname kernel{};
    ::uname(&kernel);
    double load = 0;
    ::getloadavg(&load, 1);
    const auto memory_bytes =
        static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    return fmt::format("{}, {} processors, {:.0f} GiB of memory, {} {}\n{}; load when it began {:.1f}", processor(),
                       std::thread::hardware_concurrency(), memory_bytes / (1ULL << 30), kernel.sysname, kernel.release,
                       compiler(), load);
}

}  // namespace larder::bench
