#include "bench/fleet_sim/measure/processor_time.hpp"

#include <time.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace larder::bench::sim {
namespace {

namespace fs = std::filesystem;

double clock_us(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

}  // namespace

double processor_us(pid_t process) {
    double total_us = 0;
    std::error_code ended;
    const fs::path tasks = "/proc/" + std::to_string(process) + "/task";
    for (const auto& task : fs::directory_iterator(tasks, ended)) {
        std::uint64_t ran_ns = 0;
        std::ifstream(task.path() / "schedstat") >> ran_ns;
        total_us += static_cast<double>(ran_ns) / 1e3;
        std::ifstream children(task.path() / "children");
        for (pid_t child = 0; children >> child;) total_us += processor_us(child);
    }
    return total_us;
}

double own_processor_us() { return clock_us(CLOCK_PROCESS_CPUTIME_ID); }
double thread_processor_us() { return clock_us(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace larder::bench::sim
