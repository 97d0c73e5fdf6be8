#include "bench/readers.hpp"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <new>
#include <thread>

#include "bench/lookups.hpp"

namespace larder::bench {
namespace {

constexpr auto kPoll = std::chrono::microseconds(200);
constexpr int kPolls = 100'000;  // 20 seconds and more

bool pin_to(std::uint32_t processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace

/// In shared memory. The parent writes orders, readers answer in their own places.
struct Readers::Desk {
    std::atomic<std::uint64_t> order;    // number << 32 | walks << 8 | who: one word, so that nobody sees half of it
    std::atomic<std::uint32_t> arrived;  // of this round: nobody begins before all have
    std::atomic<std::uint32_t> finished, failed;
    std::array<std::atomic<double>, kMost> ns_per_lookup;
};

Readers::Readers(const Options& options, Distribution distribution, std::size_t value_bytes) {
    require(std::thread::hardware_concurrency() >= kMost, "two readers need two processors");
    void* const memory = ::mmap(nullptr, sizeof(Desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    desk_ = new (memory) Desk{};
    sequence(distribution);  // made once, before the fork
    for (std::uint32_t self = 0; self < kMost; ++self) {
        pids_[self] = ::fork();
        require(pids_[self] >= 0, "a reader cannot be forked");
        if (pids_[self] != 0) continue;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            serve(self, options, distribution, value_bytes);
        } catch (...) {}
        desk_->failed.fetch_add(1);
        ::_exit(EXIT_FAILURE);
    }
}

Readers::~Readers() {
    for (const pid_t pid : pids_) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    ::munmap(desk_, sizeof(Desk));
}

void Readers::start_together(std::uint32_t who) {
    desk_->arrived.fetch_add(1);
    const auto all = static_cast<std::uint32_t>(std::popcount(who));
    while (desk_->arrived.load() < all) {}  // ends with the parent, whose patience has a bound
}

/// Who is not to read keeps its processor from other work, which would share caches and memory with the one that reads.
void Readers::keep_busy(std::uint64_t command) {
    const auto readers = static_cast<std::uint32_t>(std::popcount(command & 0xFF));
    while (desk_->finished.load() < readers && desk_->order.load() == command) {}
}

void Readers::serve(std::uint32_t self, const Options& options, Distribution distribution, std::size_t value_bytes) {
    require(pin_to(self), "a reader cannot be bound to its processor");
    Cache cache = Cache::open(options);
    PinnedHit lookup{cache};
    const Sequence& keys = sequence(distribution);
    time_walk(keys, value_bytes, lookup);
    for (std::uint64_t done = 0;;) {
        const std::uint64_t command = desk_->order.load();
        if (command == done) {
            std::this_thread::sleep_for(kPoll);
            continue;
        }
        done = command;
        const auto who = static_cast<std::uint32_t>(command & 0xFF);
        const auto walks = static_cast<std::uint32_t>(command >> 8 & 0xFFFFFF);
        if ((who >> self & 1) == 0) {
            keep_busy(command);
            continue;
        }
        double ns = 0;
        time_walk(keys, value_bytes, lookup);  // whoever slept begins with cold caches
        start_together(who);
        for (std::uint32_t n = 0; n < walks; ++n) ns += time_walk(keys, value_bytes, lookup);
        desk_->ns_per_lookup[self].store(ns / walks);
        desk_->finished.fetch_add(1);
    }
}

double Readers::lookups_per_second(std::uint32_t who, std::uint32_t walks) {
    const auto readers = static_cast<std::uint32_t>(std::popcount(who));
    desk_->arrived.store(0);
    desk_->finished.store(0);
    const std::uint64_t number = (desk_->order.load() >> 32) + 1;
    desk_->order.store(number << 32 | std::uint64_t{walks} << 8 | who);
    for (int n = 0; desk_->finished.load() < readers; ++n) {
        require(desk_->failed.load() == 0, "a reader found a wrong value");
        require(n < kPolls, "a reader does not answer");
        std::this_thread::sleep_for(kPoll);
    }
    double sum = 0;
    for (std::uint32_t self = 0; self < kMost; ++self)
        if ((who >> self & 1) != 0) sum += 1e9 / desk_->ns_per_lookup[self].load();
    return sum;
}

}  // namespace larder::bench
