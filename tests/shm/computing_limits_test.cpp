// Computations at their edges: what stands in for a failed one, forks in the middle of one, those that do not count.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "shm/cache.hpp"
#include "shm/inspector.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
using Value = std::optional<std::string>;

TEST_CASE("What stands in for a failed computation is judged after it", "[computing]") {
    ScopedCache scoped;
    EntryOptions options;
    options.ttl = 50ms;
    options.stale_if_error = 10s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    scoped.clock->advance(60ms);
    const auto failing = [&](auto meanwhile) {
        return [&, meanwhile]() -> Value {
            meanwhile();
            throw std::runtime_error("the source is away");
        };
    };
    SECTION("it may have been overtaken") {
        CHECK_THROWS_WITH(scoped.cache.get_or_compute("key", failing([&] { scoped.cache.invalidate("key"); }), options),
                          "the source is away");
    }
    SECTION("its time may be over") {
        CHECK_THROWS_WITH(scoped.cache.get_or_compute("key", failing([&] { scoped.clock->advance(10s); }), options),
                          "the source is away");
    }
    SECTION("else it does") {
        CHECK(scoped.cache.get_or_compute("key", failing([] {}), options).value() == "old");
    }
    SECTION("a stale one without stale_if_error until its ttl") {
        EntryOptions soft;
        soft.ttl = 150ms;
        soft.soft_ttl = 20ms;
        REQUIRE(scoped.cache.put("soft", "old", soft) == PutResult::stored);
        scoped.clock->advance(40ms);
        CHECK_THROWS(scoped.cache.get_or_compute("soft", failing([&] { scoped.clock->advance(1s); }), soft));
    }
}

TEST_CASE("A computed value is kept as of the reading that its options name", "[computing]") {
    ScopedCache scoped;
    EntryOptions read;
    read.as_of = scoped.cache.stamp();
    scoped.cache.invalidate("key");
    CHECK(scoped.cache
              .get_or_compute(
                  "key", [] { return Value("read before"); }, read)
              .value() == "read before");
    CHECK_FALSE(scoped.cache.get("key"));
    const Stamp before = scoped.cache.stamp();
    scoped.cache.invalidate("other");
    scoped.cache.get_or_compute("other", [&](EntryOptions& options) {
        options.as_of = before;
        return Value("read before");
    });
    CHECK_FALSE(scoped.cache.get("other"));
}

TEST_CASE("A child that was forked with a lease of its parent waits like everybody", "[R14][computing][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    Begun held = scoped.cache.begin("another");
    REQUIRE(std::holds_alternative<Lease>(held));
    ChildProcess child = ChildProcess::start([&](Channel& parent) {
        held = Busy{};
        if (parent.hear() != 'c') return 1;
        parent.tell('a');
        return scoped.cache.get_or_compute("key", [] { return Value("computed twice"); }).value() == "once" ? 0 : 2;
    });
    held = Busy{};
    const shm::SegmentView& view = scoped.view();
    scoped.cache.get_or_compute("key", [&] {
        child.tell('c');
        child.hear();
        eventually([&] {
            for (const shm::LeaseFacts& lease : shm::read_leases(view))
                if (lease.waiters != 0) return true;
            return false;
        });
        return Value("once");
    });
    CHECK(child.wait().exited_with(0));
}

TEST_CASE("A child that a computation forks leaves the pins of its parent alone", "[R14][computing][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    EntryOptions options;
    options.ttl = 50ms;
    options.stale_if_error = 30s;
    REQUIRE(scoped.cache.put("key", std::string(2000, 'a'), options) == PutResult::stored);
    scoped.clock->advance(60ms);
    const std::uint64_t before = scoped.totals().lookups();
    const pid_t parent = ::getpid();
    const auto compute = [&]() -> Value {
        const pid_t child = ::fork();
        if (child == 0) return Value("of the child");
        ::waitpid(child, nullptr, 0);
        for (int i = 0; i < 40; ++i) scoped.cache.put("key", std::string(2000, 'b'));  // reuses what no pin keeps
        throw std::runtime_error("the source is away");
    };
    const Pinned got = scoped.cache.get_or_compute("key", compute, options);
    if (::getpid() != parent) ::_exit(got.value() == "of the child" ? 0 : 1);
    CHECK(got.value() == std::string(2000, 'a'));
    CHECK(scoped.totals().lookups() == before + 1);
}

TEST_CASE("Warming computes once for all, and counts neither a hit nor a miss", "[computing][tsan]") {
    ScopedCache scoped;
    std::atomic<int> computed{0};
    const auto compute = [&]() -> std::optional<std::string> {
        ++computed;
        return "value";
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] { CHECK(scoped.cache.warm("key", compute).value() == "value"); });
    for (std::thread& thread : threads) thread.join();
    CHECK(scoped.cache.warm("key", compute).source() == Source::hit);
    CHECK(computed == 1);
    CHECK(scoped.totals().lookups() == 0);
    CHECK(scoped.count(Counter::lease_waits) == 0);
    CHECK(scoped.count(Counter::computations) == 1);
    CHECK(scoped.cache.mean_compute_time().has_value());
    CHECK(scoped.cache.key_use("key").tracked);
    CHECK(scoped.cache.get("key").value() == "value");
    CHECK(scoped.cache.key_use("key").hits == 1);
}

TEST_CASE("Warming is a use for the LRU order", "[computing]") {
    Options options;
    options.max_entries = 2;
    options.recency = Options::Recency::strict;
    ScopedCache scoped(options);
    const auto compute = []() -> std::optional<std::string> { return "value"; };
    for (const char* key : {"a", "b", "a", "c"}) scoped.cache.warm(key, compute);
    CHECK(scoped.cache.contains("a"));
    CHECK_FALSE(scoped.cache.contains("b"));
}

TEST_CASE("An entry that is not tracked takes no place in the key table and no part in compute times", "[computing]") {
    ScopedCache scoped;
    EntryOptions options;
    options.tracked = false;
    const auto compute = []() -> std::optional<std::string> { return "value"; };
    CHECK(scoped.cache.get_or_compute("key", compute, options).value() == "value");
    CHECK(scoped.cache.get("key"));
    CHECK(scoped.cache.touch("key", 10s));
    CHECK_FALSE(scoped.cache.key_use("key").tracked);
    CHECK_FALSE(scoped.cache.mean_compute_time().has_value());
    CHECK(scoped.totals().lookups() == 2);
    CHECK(scoped.count(Counter::untracked_lookups) == 2);
}
