// A key that nobody has computed and eight processes ask for at once: how often it is computed, and when all have it.
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/rounds.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/workload.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kCrowd = 8;
constexpr auto kComputation = 5ms;

struct Desk {
    std::atomic<std::uint32_t> round{0}, ready{0}, served{0}, computed{0}, failed{0};
};

void ask(Cache& cache, Desk& desk, std::uint32_t round) {
    const Pinned value = cache.get_or_compute(key_of(round).text(), [&] {
        desk.computed.fetch_add(1);
        std::this_thread::sleep_for(kComputation);
        return std::optional(value_of(round, 1024));
    });
    require(value.value() == value_of(round, 1024), "a value came back changed");
    desk.served.fetch_add(1);
}

[[noreturn]] void live(const Options& options, Desk& desk, std::uint32_t rounds) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        Cache cache = Cache::open(options);
        for (std::uint32_t round = 1; round <= rounds; ++round) {
            desk.ready.fetch_add(1);
            while (desk.round < round) std::this_thread::sleep_for(20us);
            ask(cache, desk, round);
        }
        ::_exit(EXIT_SUCCESS);
    } catch (...) {}
    desk.failed.fetch_add(1);
    ::_exit(EXIT_FAILURE);
}

}  // namespace

void measure_crowd(Report& report) {
    const auto rounds = static_cast<std::uint32_t>(report.effort().pairs);
    ScopedCache cache(roomy(rounds + 1, 1024));
    void* const memory = ::mmap(nullptr, sizeof(Desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "no page for the crowd");
    Desk& desk = *new (memory) Desk;
    std::vector<pid_t> pids;
    for (std::uint32_t n = 0; n < kCrowd; ++n) {
        const pid_t pid = ::fork();
        require(pid >= 0, "a process cannot be forked");
        if (pid == 0) live(cache.options(), desk, rounds);
        pids.push_back(pid);
    }
    std::vector<double> all_served_ms, computations;
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        while (desk.ready < kCrowd * round && desk.failed == 0) std::this_thread::sleep_for(1ms);
        const std::uint32_t before = desk.computed;
        const std::int64_t started_ns = shm::system::monotonic_ns();
        desk.round = round;
        while (desk.served < kCrowd * round && desk.failed == 0) std::this_thread::sleep_for(100us);
        all_served_ms.push_back(static_cast<double>(shm::system::monotonic_ns() - started_ns) / 1e6);
        computations.push_back(desk.computed - before);
    }
    for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
    require(desk.failed == 0, "a process of the crowd failed");
    const std::string load = fmt::format("{} processes, a computation of 5 ms", kCrowd);
    report.add({"crowd", "Larder, until all have it", 1024, load, "ms", all_served_ms});
    report.add({"crowd", "Larder, computations", 1024, load, "computations", computations});
    report.note(fmt::format("{}: all have it after {:.1f} ms, computed {:g} times", load, median(all_served_ms),
                            median(computations)));
}

}  // namespace larder::bench
