// S9: the segment is made by a process of its own, so that no other one has it mapped.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/rounds.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/workload.hpp"
#include "shm/system.hpp"

namespace larder::bench {
namespace {

struct Answer {
    std::atomic<std::int64_t> attach_ns{0}, touch_ns{0};
};

/// Keys that are there, and a small cache beside: a process that has opened it has touched its own pages of code.
constexpr std::uint32_t kTouched = 10'000;
enum class Process : std::uint8_t { fresh, has_opened_another };

Options another(Options options) {
    options.name = "another";
    options.size_bytes = 16 << 20;
    return options;
}

/// One attach in a process of its own, and a first look at so many of the keys; 0: it failed.
void attach_once(const Options& options, Answer& answer, Process process, std::uint32_t keys) {
    answer.attach_ns = 0;
    const pid_t pid = ::fork();
    if (pid == 0) {
        try {
            if (process == Process::has_opened_another) Cache::open(another(options));
            const std::int64_t started_ns = shm::system::monotonic_ns();
            const Cache cache = Cache::open(options);
            const std::int64_t attached_ns = shm::system::monotonic_ns();
            for (std::uint32_t n = 0; n < keys; ++n) require(bool(cache.peek(key_of(n).text())), "a key is gone");
            answer.touch_ns = keys == 0 ? 0 : (shm::system::monotonic_ns() - attached_ns) / keys;
            answer.attach_ns = attached_ns - started_ns;
        } catch (...) {}
        ::_exit(EXIT_SUCCESS);
    }
    ::waitpid(pid, nullptr, 0);
}

}  // namespace

void measure_attach(Report& report) {
    Options options;
    options.name = "attach";
    options.size_bytes = 1ULL << 30;
    const ScopedCache home{Options{}};
    options.directory = home.options().directory;
    void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "no page for the answers");
    auto& answer = *new (memory) Answer;
    attach_once(options, answer, Process::has_opened_another, 0);
    const std::int64_t made_ns = answer.attach_ns;
    const pid_t filler = ::fork();
    if (filler == 0) {
        Cache cache = Cache::open(options);
        for (std::uint32_t n = 0; n < kTouched; ++n) (void)cache.put(key_of(n).text(), value_of(n, 1024));
        ::_exit(EXIT_SUCCESS);
    }
    ::waitpid(filler, nullptr, 0);
    std::vector<double> attach_ms, fresh_ms, touch_ns;
    for (std::size_t n = 0; n < report.effort().pairs; ++n) {
        attach_once(options, answer, Process::fresh, 0);
        fresh_ms.push_back(static_cast<double>(answer.attach_ns) / 1e6);
        attach_once(options, answer, Process::has_opened_another, kTouched);
        attach_ms.push_back(static_cast<double>(answer.attach_ns) / 1e6);
        touch_ns.push_back(static_cast<double>(answer.touch_ns));
    }
    const double attach = median(attach_ms);
    require(made_ns > 0 && attach > 0, "the segment cannot be attached to");
    report.add({"attach", "Larder", 0, "1 GiB", "ms", attach_ms});
    report.add({"attach", "Larder, the process's first", 0, "1 GiB", "ms", fresh_ms});
    report.add({"attach", "Larder, first touch", 1024, "10,000 keys, a lookup each", "ns", touch_ns});
    report.judge("S9",
                 {"attach to an existing segment of 1 GiB", "ms", {"<=", 0.2}, attach, attach_ms, attach_ms.size()});
    report.note(
        fmt::format("the first attach of a process, which touches its own pages of code, {:.3f} ms", median(fresh_ms)));
    report.note(fmt::format("making it {:.0f} ms; the first lookup of each of {} keys {:.0f} ns",
                            static_cast<double>(made_ns) / 1e6, kTouched, median(touch_ns)));
}

}  // namespace larder::bench
