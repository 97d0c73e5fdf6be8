// Several threads on one cache, all at once. Runs under the thread sanitizer.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/model_run.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"
#include "tests/support/world_of_changes.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;

TEST_CASE("Threads that write, read and change at once are never served what was overtaken", "[cache][tsan]") {
    const Watchdog watchdog(250);
    const std::uint64_t seed = seed_of_run();
    INFO("LARDER_SEED=" << seed);
    Options options;
    options.max_entries = GENERATE(0u, 12u);
    options.recency = GENERATE(Options::Recency::clock, Options::Recency::strict);
    options.lock_budget = 5s;
    ScopedCache scoped(options);
    WorldOfChanges world;
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 4; ++i) threads.emplace_back([&, i] { world.live(scoped.cache, seed + i, 3'000); });
    threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) scoped.cache.tend();
    });
    for (std::thread& thread : threads) thread.join();
    CHECK(world.first_wrong() == "");
    CHECK(scoped.totals().lookups() == world.lookups());
    CHECK(scoped.count(Counter::damaged_reads) == 0);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("Handles that threads hold stay intact while others evict", "[cache][tsan]") {
    const Watchdog watchdog(250);
    ScopedCache scoped;
    std::atomic<bool> ended{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 3; ++reader) {
        readers.emplace_back([&, reader] {
            std::vector<std::pair<std::string, Pinned>> held(6);  // more than a thread has pins
            for (std::size_t i = static_cast<std::size_t>(reader); !ended; ++i) {
                auto& [key, pinned] = held[i % held.size()];
                if (pinned && !proven_version(key, pinned.value())) ++wrong;
                key = "key:" + std::to_string(i % 40);
                pinned = scoped.cache.get(key);
                if (pinned && !proven_version(key, pinned.value())) ++wrong;
            }
        });
    }
    for (std::uint64_t i = 0; i < 1'500; ++i) {
        const std::string key = "key:" + std::to_string(i % 40);
        scoped.cache.put(key, proving_value(key, i, 100 + i * 37 % 60'000));
    }
    ended = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
    CHECK(scoped.count(Counter::puts) == 1'500);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A key that is overwritten all the time is read whole, and never older than before", "[cache][tsan]") {
    const Watchdog watchdog(250);
    ScopedCache scoped;
    std::atomic<bool> ended{false};
    std::atomic<int> wrong{0}, reading{0};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader) {
        readers.emplace_back([&] {
            std::uint64_t last = 0;
            while (!ended) {
                ++reading;
                const Pinned got = scoped.cache.get("key");
                if (!got) continue;
                const std::uint64_t version = proven_version("key", got.value()).value_or(0);
                if (version < last || version == 0) ++wrong;
                last = version;
            }
        });
    }
    while (reading < 2) std::this_thread::yield();
    for (std::uint64_t i = 1; i <= 30'000; ++i) scoped.cache.put("key", proving_value("key", i, 32 + i % 3 * 64));
    ended = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
    CHECK(scoped.count(Counter::damaged_reads) == 0);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("More threads than a process has blocks are served all the same, and counted exactly", "[cache][tsan]") {
    const Watchdog watchdog(250);
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1)) == PutResult::stored);
    std::atomic<int> wrong{0}, ready{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 24; ++i) {
        threads.emplace_back([&] {
            if (proven_version("key", scoped.cache.get("key").value()) != 1) ++wrong;
            ++ready;
            while (ready < 24) std::this_thread::yield();  // all at once: no block is given on
            for (int n = 0; n < 50; ++n)
                if (proven_version("key", scoped.cache.get("key").value()) != 1) ++wrong;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(scoped.count(Counter::hits) == 24 * 51);
    CHECK(scoped.cache.key_use("key").hits == 24 * 51);
    CHECK(scoped.count(Counter::copied_reads) > 0);
}

TEST_CASE("Threads that open, use and drop the cache at once share one mapping", "[cache][tsan]") {
    const Watchdog watchdog(250);
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 20; ++n)
                if (Cache::open(scoped.options).get("key").value() != "value") ++wrong;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(shm::read_processes(scoped.view()).size() == 1);
    CHECK(scoped.count(Counter::hits) == 160);
}
