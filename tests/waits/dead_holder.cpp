#include "tests/waits/dead_holder.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>

#include "shm/cache.hpp"
#include "shm/system.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::waits {
namespace {

constexpr std::int64_t kComputeNs = 1'000'000, kPauseNs = 100'000;
constexpr std::uint32_t kPeople = 8, kKeys = 4;

Options options_in(const std::string& directory) {
    Options options;
    options.directory = directory;
    options.size_bytes = 16ULL << 20;
    return options;
}

template <class Condition>
void await(Condition&& condition, const char* what) {
    if (!test::eventually(condition, test::kHang)) throw std::runtime_error(what);
}

void end_in_order(pid_t& pid) {
    if (const std::string wrong = test::end_in_order(pid); !wrong.empty()) throw std::runtime_error(wrong);
}

struct Computation {
    std::atomic<bool> begun{false}, asked{false};
    std::atomic<std::int64_t> taken_over_ns{0};
};

std::int64_t kill_holder(const Options& options, const std::string& key, std::int64_t after_ns) {
    const test::SharedObject<Computation> shared;
    pid_t holder = test::fork_to([&] {
        const auto never_done = [&]() -> std::optional<std::string> {
            shared->begun = true;
            while (true) ::pause();
        };
        return Cache::open(options).get_or_compute(key, never_done) ? 0 : 1;
    });
    await([&] { return shared->begun.load(); }, "the holder does not begin");
    pid_t waiter = test::fork_to([&] {
        Cache cache = Cache::open(options);
        shared->asked = true;
        const auto value = [&]() -> std::optional<std::string> {
            shared->taken_over_ns = shm::system::monotonic_ns();
            return "value";
        };
        return cache.get_or_compute(key, value) ? 0 : 1;
    });
    await([&] { return shared->asked.load(); }, "the waiter does not ask");
    shm::system::sleep_ns(after_ns);
    const std::int64_t killed_ns = shm::system::monotonic_ns();
    test::end(holder);
    end_in_order(waiter);
    if (shared->taken_over_ns < killed_ns) throw std::runtime_error("the waiter did not wait for the holder's death");
    return shared->taken_over_ns - killed_ns;
}

struct Crowd {
    std::array<std::atomic<std::uint64_t>, kKeys> at_work{};
    std::atomic<std::uint64_t> most_at_once{0}, computations{0}, waits{0};
    std::atomic<bool> stop{false};
};

int ask(const Options& options, const test::SharedObject<Crowd>& crowd, std::uint64_t seed) {
    Cache cache = Cache::open(options);
    std::mt19937_64 random(seed);
    while (!crowd->stop) {
        const auto n = random() % kKeys;
        const std::string key = "page:" + std::to_string(n);
        if (random() % 200 == 0) cache.invalidate(key);
        const auto value = [&]() -> std::optional<std::string> {
            const std::uint64_t at_once = ++crowd->at_work[n];
            std::uint64_t most = crowd->most_at_once;
            while (at_once > most && !crowd->most_at_once.compare_exchange_weak(most, at_once)) {}
            shm::system::sleep_ns(kComputeNs);
            --crowd->at_work[n];
            ++crowd->computations;
            return "value";
        };
        shm::system::sleep_ns(kPauseNs);  // a lease's lock, kept by who is off the processor, would not be waited for
        crowd->waits += cache.get_or_compute(key, value).source() == Source::waited ? 1 : 0;
    }
    return 0;
}

}  // namespace

std::vector<std::int64_t> kill_holders(std::uint64_t rounds, std::uint64_t seed) {
    const test::ScopedDirectory directory;
    const Options options = options_in(directory.path());
    std::mt19937_64 random(seed);
    std::vector<std::int64_t> all;
    for (std::uint64_t n = 0; n < rounds; ++n) {
        const auto after_ns =
            static_cast<std::int64_t>(1'000'000 + random() % 30'000'000);  // at any phase of its polls
        all.push_back(kill_holder(options, "page:" + std::to_string(n), after_ns));
    }
    return all;
}

CrowdReport crowd(std::int64_t for_ns, std::uint64_t computations, std::uint64_t seed) {
    const test::ScopedDirectory directory;
    const Options options = options_in(directory.path());
    const test::SharedObject<Crowd> shared;
    std::array<pid_t, kPeople> people{};
    for (std::uint32_t i = 0; i < kPeople; ++i)
        people[i] = test::fork_to([&] { return ask(options, shared, seed * kPeople + i); });
    shm::system::sleep_ns(for_ns);
    const bool competed =
        test::eventually([&] { return shared->computations >= computations && shared->waits > 0; }, test::kHang);
    shared->stop = true;
    for (pid_t& one : people) end_in_order(one);
    return {shared->computations, shared->waits, shared->most_at_once, competed};
}

}  // namespace larder::waits
