#include "bench/promises.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "bench/lookups.hpp"
#include "bench/machine.hpp"
#include "bench/readers.hpp"
#include "bench/rounds.hpp"
#include "bench/stage.hpp"
#include "bench/writing.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kRounds = 15;
constexpr std::size_t kPairs = 21;
constexpr std::uint32_t kWalks = 16;  // of one reading process in one round
constexpr std::size_t kSamples = 20'000;
constexpr int kAttaches = 21;

void print_row(const char* promise, const std::string& what, const std::string& goal, const std::string& measured,
               bool holds) {
    fmt::print("{:<4}{:<52}{:<14}{:<12}{}\n", promise, what, goal, measured, holds ? "yes" : "NO");
}
void print_note(const std::string& note) { fmt::print("      {}\n", note); }

std::string bytes_text(std::size_t bytes) {
    return bytes < 1024 ? fmt::format("{} B", bytes) : fmt::format("{} KiB", bytes / 1024);
}

/// One walk that is not timed, then one that is: the contender before it has left the processor's caches to itself.
template <Pace kPace = Pace::sequential, class Lookup>
Rounds::Measure walking(const Sequence& order, std::size_t value_bytes, Lookup lookup) {
    return [&order, value_bytes, lookup]() mutable {
        time_walk<kPace>(order, value_bytes, lookup);
        return time_walk<kPace>(order, value_bytes, lookup);
    };
}

/// S1, S2, S3: the lookups of one size and distribution in turn.
void compare_lookups(std::size_t value_bytes, Distribution distribution, bool beside_peer) {
    const Sequence& order = sequence(distribution);
    Stage& on = stage(value_bytes);
    const std::vector<char> buffer(value_bytes);
    Rounds rounds;
    const std::size_t floor = rounds.add(walking(order, value_bytes, Floor{on.table()}));
    const std::size_t pinned = rounds.add(walking(order, value_bytes, PinnedHit{on.cache()}));
    const std::size_t computed = rounds.add(walking(order, value_bytes, ComputedHit{on.cache()}));
    const std::size_t copied_floor = rounds.add(walking(order, value_bytes, CopiedFloor{on.table(), buffer}));
    const std::size_t copied = rounds.add(walking(order, value_bytes, CopiedHit{on.cache(), buffer}));
    const std::size_t peer = beside_peer ? rounds.add(walking(order, value_bytes, LockedHit{on.locked()})) : 0;
    const std::size_t reusing =
        beside_peer ? rounds.add(walking(order, value_bytes, LockedHitReusing{on.locked(), {}})) : 0;
    const std::size_t share_of_floor = rounds.add(walking<Pace::overlapping>(order, value_bytes, Floor{on.table()}));
    const std::size_t share = rounds.add(walking<Pace::overlapping>(order, value_bytes, PinnedHit{on.cache()}));
    rounds.run(kRounds);

    const std::string load = fmt::format("{}, {}", bytes_text(value_bytes), name_of(distribution));
    const double to_floor = rounds.ratio(pinned, floor), to_copy = rounds.ratio(copied, copied_floor);
    print_row("S1", "pinned hit / floor, " + load, "<= 2.0", fmt::format("{:.2f}", to_floor), to_floor <= 2.0);
    if (value_bytes == 8192)
        print_row("S2", "copied hit / (floor + memcpy), " + load, "<= 1.15", fmt::format("{:.2f}", to_copy),
                  to_copy <= 1.15);
    print_note(fmt::format("floor {:.1f} ns, pinned {:.1f}, floor + memcpy {:.1f}, copied {:.1f} ({:.2f} x)",
                           rounds.median_of(floor), rounds.median_of(pinned), rounds.median_of(copied_floor),
                           rounds.median_of(copied), to_copy));
    print_note(
        fmt::format("get_or_compute {:.1f} ns ({:.2f} x); overlapping: floor {:.1f} ns, pinned {:.1f} ({:.2f} x)",
                    rounds.median_of(computed), rounds.ratio(computed, floor), rounds.median_of(share_of_floor),
                    rounds.median_of(share), rounds.ratio(share, share_of_floor)));
    if (!beside_peer) return;
    const double goal = value_bytes == 64 ? 2.5 : 10.0, faster = rounds.ratio(peer, pinned);
    print_row("S3", "Boost mutex + MultiIndex / pinned, " + load, fmt::format(">= {:g}", goal),
              fmt::format("{:.2f}", faster), faster >= goal);
    print_note(fmt::format("peer {:.1f} ns a string, {:.1f} ns into a re-used one ({:.2f} x)", rounds.median_of(peer),
                           rounds.median_of(reusing), rounds.ratio(reusing, pinned)));
}

void compare_small() {
    compare_lookups(64, Distribution::uniform, true);
    compare_lookups(64, Distribution::zipf, true);
}
void compare_middle() {
    compare_lookups(8192, Distribution::uniform, true);
    compare_lookups(8192, Distribution::zipf, true);
}
void compare_large() {
    compare_lookups(65536, Distribution::uniform, false);
    compare_lookups(65536, Distribution::zipf, false);
}

/// S5: both readers at once against each of them alone, in pairs.
void compare_processes() {
    constexpr std::size_t kValueBytes = 1024;
    for (const Distribution distribution : {Distribution::uniform, Distribution::zipf}) {
        Readers readers(stage(kValueBytes).scoped().options(), distribution, kValueBytes);
        std::vector<double> ratios, alone, together;
        for (std::size_t pair = 0; pair < kPairs; ++pair) {
            const double first = readers.lookups_per_second(0b01, kWalks);
            together.push_back(readers.lookups_per_second(0b11, kWalks));
            const double second = readers.lookups_per_second(0b10, kWalks);
            alone.push_back((first + second) / 2);
            ratios.push_back(together.back() / alone.back());
        }
        const double scaling = median(ratios);
        print_row("S5", fmt::format("two reading processes / one, 1 KiB, {}", name_of(distribution)), ">= 1.9",
                  fmt::format("{:.2f}", scaling), scaling >= 1.9);
        print_note(
            fmt::format("one {:.1f} million/s, two {:.1f} million/s", median(alone) / 1e6, median(together) / 1e6));
    }
}

std::string quantiles_text(const Quantiles& times) {
    return fmt::format("p50 {:.0f} ns, p99 {:.0f}, p99.9 {:.0f}", times.p50_ns, times.p99_ns, times.p999_ns);
}

/// S7
void measure_notices() {
    for (const std::uint32_t entries : {10u, 1'000'000u}) {
        ScopedCache cache(roomy(entries, 16));
        fill_tagged(*cache, entries);
        for (const Notice notice : kNotices) {
            const Quantiles times = sample_notices(*cache, notice, entries, kSamples);
            print_row("S7", fmt::format("invalidate {}, {} entries", name_of(notice), entries), "<= 250 ns p50",
                      fmt::format("{:.0f} ns", times.p50_ns), times.p50_ns <= 250);
            print_note(quantiles_text(times));
        }
    }
    print_note("an empty loop: " + quantiles_text(sample_empty(kSamples)));
}

/// S8
void measure_puts() {
    for (const std::size_t value_bytes : {std::size_t{64}, std::size_t{1024}, std::size_t{8192}}) {
        const Quantiles evicting = sample_evicting_puts(value_bytes, kSamples);
        const Quantiles overwriting = sample_overwriting_puts(value_bytes, kSamples);
        const Quantiles empty = sample_empty(kSamples, evicting.p50_ns);
        if (value_bytes == 8192)
            print_row("S8", "put of 8 KiB on a full cache", "<= 4 us p50",
                      fmt::format("{:.2f} us", evicting.p50_ns / 1e3), evicting.p50_ns <= 4000);
        if (value_bytes == 8192)
            print_row("S8", "put of 8 KiB on a full cache", "<= 15 us p99",
                      fmt::format("{:.2f} us", evicting.p99_ns / 1e3), evicting.p99_ns <= 15000);
        print_note(fmt::format("{:>5}, evicting:    {}", bytes_text(value_bytes), quantiles_text(evicting)));
        print_note(fmt::format("{:>5}, overwriting: {}", bytes_text(value_bytes), quantiles_text(overwriting)));
        print_note(fmt::format("an empty loop as long: {}", quantiles_text(empty)));
    }
}

/// One attach in a process of its own; 0 when it failed.
std::int64_t attach_once(const Options& options, std::atomic<std::int64_t>& answer_ns) {
    answer_ns.store(0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        try {
            const std::int64_t started_ns = shm::system::monotonic_ns();
            const Cache cache = Cache::open(options);
            answer_ns.store(shm::system::monotonic_ns() - started_ns);
        } catch (...) {}
        ::_exit(EXIT_SUCCESS);
    }
    ::waitpid(pid, nullptr, 0);
    return answer_ns.load();
}

/// S9: the segment is made by a process of its own, so that no other one has it mapped.
void measure_attach() {
    Options options;
    options.name = "attach";
    options.size_bytes = 1ULL << 30;
    ScopedCache home{Options{}};
    options.directory = home.options().directory;
    void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "no page for the answers");
    auto& answer_ns = *new (memory) std::atomic<std::int64_t>(0);
    const std::int64_t made_ns = attach_once(options, answer_ns);
    std::vector<double> times_us;
    for (int n = 0; n < kAttaches; ++n) times_us.push_back(static_cast<double>(attach_once(options, answer_ns)) / 1e3);
    const double attach_us = median(times_us);
    require(made_ns > 0 && attach_us > 0, "the segment cannot be attached to");
    print_row("S9", "attach to an existing segment of 1 GiB", "<= 0.2 ms", fmt::format("{:.3f} ms", attach_us / 1e3),
              attach_us <= 200);
    print_note(
        fmt::format("making it {:.0f} ms; median of {} processes", static_cast<double>(made_ns) / 1e6, kAttaches));
}

/// In a process of its own: its memory is given back at its end, since no segment is ever unmapped.
bool run_apart(void (*measure)()) {
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0) {
        int code = EXIT_SUCCESS;
        try {
            measure();
        } catch (const std::exception& error) {
            fmt::print("      not measured: {}\n", error.what());
            code = EXIT_FAILURE;
        }
        std::fflush(stdout);
        stage(0);  // gives up the files of the one in use
        ::_exit(code);
    }
    int status = 0;
    return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

}  // namespace

int print_promises() {
    fmt::print("{}\n", machine_text());
    fmt::print(
        "{} keys; {} rounds of {} lookups each, ratios are medians over rounds; {} pairs of processes; {} samples of"
        " single calls, reading the clock included\n\n",
        kKeys, kRounds, Sequence::kLength, kPairs, kSamples);
    fmt::print("{:<4}{:<52}{:<14}{:<12}{}\n", "", "promise", "goal", "measured", "holds");
    bool complete = true;
    for (const auto measure : {compare_small, compare_middle, compare_large, compare_processes, measure_notices,
                               measure_puts, measure_attach})
        complete = run_apart(measure) && complete;
    return complete ? 0 : 3;
}

}  // namespace larder::bench
