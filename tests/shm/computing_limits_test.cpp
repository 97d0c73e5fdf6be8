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
#include "shm/replacement.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/coarse_clock.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/waiters.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
namespace testing = larder::shm::testing;
using Value = std::optional<std::string>;

namespace {

/// A value past its time, which may still stand in for a failed computation. Returns its options.
EntryOptions put_overdue(ScopedCache& scoped) {
    EntryOptions options;
    options.ttl = 50ms;
    options.stale_if_error = 10s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    scoped.clock->advance(60ms);
    return options;
}

}  // namespace

TEST_CASE("What stands in for a failed computation is judged after it", "[computing]") {
    ScopedCache scoped;
    const EntryOptions options = put_overdue(scoped);
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
        eventually([&] { return somebody_waits(view); });
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
        eventually([&] { return somebody_waits(scoped.view()); });
        return "value";
    };
    std::atomic<int> served{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] { served += scoped.cache.warm("key", compute).value() == "value" ? 1 : 0; });
    for (std::thread& thread : threads) thread.join();
    CHECK(served == 4);
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

TEST_CASE("What another host has computed is a hit of the second tier, not a computation", "[computing]") {
    ScopedCache scoped;
    const auto find = [](EntryOptions& options) -> Value {
        options.tier = EntryOptions::Tier::hit;
        return "value";
    };
    CHECK(scoped.cache.get_or_compute("key", find).value() == "value");
    CHECK(scoped.cache.get("key").value() == "value");
    CHECK(scoped.count(Counter::tier_hits) == 1);
    CHECK(scoped.count(Counter::computations) == 0);
    CHECK_FALSE(scoped.cache.mean_compute_time().has_value());
}

TEST_CASE("What is computed since the second tier cannot be reached is counted", "[computing]") {
    ScopedCache scoped;
    const auto compute = [](EntryOptions& options) -> Value {
        options.tier = EntryOptions::Tier::unreachable;
        return "value";
    };
    CHECK(scoped.cache.get_or_compute("key", compute).value() == "value");
    CHECK(scoped.count(Counter::tier_unreachable) == 1);
    CHECK(scoped.count(Counter::computations) == 1);
    CHECK(scoped.cache.mean_compute_time().has_value());
}

TEST_CASE("A lease that is assigned over is abandoned, one that moves stays held", "[computing]") {
    ScopedCache scoped;
    Lease lease = std::get<Lease>(scoped.cache.begin("a"));
    Lease& same = lease;
    lease = std::move(same);
    CHECK(std::holds_alternative<Busy>(scoped.cache.begin("a")));
    CHECK(lease.stamp().incarnation == scoped.cache.stamp().incarnation);
    lease = std::get<Lease>(scoped.cache.begin("b"));
    CHECK(lease.key() == "b");
    CHECK(std::holds_alternative<Lease>(scoped.cache.begin("a")));
    Lease none;
    none = std::move(lease);
    CHECK(std::holds_alternative<Busy>(scoped.cache.begin("b")));
    scoped.cache.abandon(std::move(none), true);
    scoped.cache.abandon(Lease());
    CHECK_FALSE(Lease());
    CHECK(std::holds_alternative<Lease>(scoped.cache.begin("b")));
}

TEST_CASE("A lease is not a forked child's, which ends it for nobody", "[R14][computing][fork]") {
    ScopedCache scoped;
    Begun begun = scoped.cache.begin("key");
    ChildProcess child = ChildProcess::start([&](Channel&) {
        Lease& lease = std::get<Lease>(begun);
        if (lease) return 1;
        return scoped.cache.fill(std::move(lease), "of the child") == PutResult::busy ? 0 : 2;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(static_cast<bool>(std::get<Lease>(begun)));
    CHECK(std::holds_alternative<Busy>(scoped.cache.begin("key")));
}

TEST_CASE("begin brings what is fresh, and what is stale to all but the one that renews it", "[computing]") {
    ScopedCache scoped;
    EntryOptions soft;
    soft.soft_ttl = 1s;
    REQUIRE(scoped.cache.put("key", "value", soft) == PutResult::stored);
    CHECK(std::get<Hit>(scoped.cache.begin("key")).pinned.state() == State::live);
    scoped.clock->advance(2s);
    const Begun renewing = scoped.cache.begin("key");
    CHECK(std::holds_alternative<Lease>(renewing));
    CHECK(std::get<Hit>(scoped.cache.begin("key")).pinned.state() == State::stale);
}

TEST_CASE("Who is granted a lease looks again: another may have filled it by then", "[computing]") {
    ScopedCache scoped;
    const auto never = []() -> Value { throw std::logic_error("computed again"); };
    EntryOptions options;
    const auto meanwhile = [&] {
        testing::call_at_crash_point("lease.grant.held", 1,
                                     [&] { scoped.cache.put("key", options.negative ? "" : "filled", options); });
    };
    SECTION("begin") {
        meanwhile();
        CHECK(std::get<Hit>(scoped.cache.begin("key")).pinned.value() == "filled");
    }
    SECTION("a computation") {
        meanwhile();
        CHECK(scoped.cache.get_or_compute("key", never).value() == "filled");
    }
    SECTION("a computation, with nothing in the source") {
        options.negative = true;
        meanwhile();
        CHECK(scoped.cache.get_or_compute("key", never).state() == State::negative);
    }
    SECTION("a renewal") {
        EntryOptions soft;
        soft.soft_ttl = 1s;
        REQUIRE(scoped.cache.put("key", "old", soft) == PutResult::stored);
        scoped.clock->advance(2s);
        meanwhile();
        CHECK(scoped.cache.get_or_compute("key", never).value() == "filled");
    }
}

TEST_CASE("What was overtaken while one waited is not served when it is over, or its segment is", "[computing]") {
    ScopedCache scoped;
    EntryOptions options;
    std::function<void()> ends = [] {};
    bool is_served = false;
    SECTION("it is within its time") { is_served = true; }
    SECTION("it is over") { options.ttl = -1ms; }
    SECTION("its segment was closed") {
        ends = [&] { shm::remove_cache(shm::locate(scoped.options.directory, scoped.options.name, false)); };
    }
    SECTION("its segment was unlinked") {
        ends = [&] {
            REQUIRE(::unlink(scoped.cache.segment_path().c_str()) == 0);
            pass(60ms);
        };
    }
    testing::call_at_crash_point("lease.grant.held", 1, [&] {
        scoped.cache.put("key", "overtaken", options);
        scoped.cache.invalidate("key");
        ends();
    });
    const Pinned got = scoped.cache.get_or_compute("key", [] { return Value("computed"); });
    CHECK(got.value() == (is_served ? "overtaken" : "computed"));
}

TEST_CASE("A failed computation is not answered out of a segment that was removed meanwhile", "[computing]") {
    ScopedCache scoped;
    put_overdue(scoped);
    CHECK_THROWS_WITH(scoped.cache.get_or_compute("key",
                                                  [&]() -> Value {
                                                      shm::remove_cache(shm::locate(scoped.options.directory,
                                                                                    scoped.options.name, false));
                                                      throw std::runtime_error("the source is away");
                                                  }),
                      "the source is away");
}

TEST_CASE("Who holds a lease waits for nothing: it is served what is stale, and its failures are its own",
          "[R10][computing]") {
    ScopedCache scoped;
    EntryOptions soft;
    soft.soft_ttl = 1s;
    REQUIRE(scoped.cache.put("stale", "old", soft) == PutResult::stored);
    scoped.clock->advance(2s);
    const Begun held = scoped.cache.begin("held");
    const auto fails = []() -> Value { throw std::runtime_error("the source is away"); };
    CHECK(scoped.cache.get_or_compute("stale", fails).state() == State::stale);
    CHECK_THROWS_WITH(scoped.cache.get_or_compute("absent", fails), "the source is away");
    CHECK(scoped.count(Counter::compute_failures) == 1);
}

TEST_CASE("Warming that waits counts no wait; of no key it gives the value all the same", "[computing]") {
    Options options;
    options.wait_time = 20ms;
    ScopedCache scoped(options);
    Begun held = Busy{};
    std::thread([&] { held = scoped.cache.begin("key"); }).join();
    CHECK(scoped.cache.warm("key", [] { return Value("own"); }).value() == "own");
    CHECK(scoped.count(Counter::lease_waits) == 0);
    CHECK(scoped.count(Counter::lease_timeouts) == 1);
    const std::uint64_t lookups = scoped.totals().lookups();
    CHECK(scoped.cache.warm("", [] { return Value("own"); }).value() == "own");
    CHECK(scoped.totals().lookups() == lookups);
    CHECK(scoped.cache.get_or_compute("", [] { return Value(); }).state() == State::negative);
}

TEST_CASE("A computation may say that its value stands for none", "[computing]") {
    ScopedCache scoped;
    const auto compute = [](EntryOptions& options) {
        options.negative = true;
        return Value("the reason");
    };
    CHECK(scoped.cache.get_or_compute("key", compute).state() == State::negative);
    CHECK(scoped.cache.get("key").state() == State::negative);
}

TEST_CASE("What a forked child's part of a computation throws reaches the child, and ends nothing of its parent's",
          "[R14][computing][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    const pid_t parent = ::getpid();
    int status = -1;
    const auto compute = [&]() -> Value {
        const pid_t child = ::fork();
        if (child == 0) throw std::runtime_error("in the child");
        ::waitpid(child, &status, 0);
        return Value(std::holds_alternative<Busy>(scoped.cache.begin("key")) ? "still held" : "given up");
    };
    std::string got;
    try {
        got = scoped.cache.get_or_compute("key", compute).value();
    } catch (const std::runtime_error&) {
        if (::getpid() != parent) ::_exit(3);
    }
    CHECK(got == "still held");
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 3));
    CHECK(scoped.count(Counter::compute_failures) == 0);
}

TEST_CASE("A destructor at a thread's end may still compute", "[computing]") {
    struct AtEnd {
        ScopedCache* scoped = nullptr;
        ~AtEnd() {
            if (scoped != nullptr) scoped->cache.get_or_compute("last", [] { return Value("last words"); });
        }
    };
    ScopedCache scoped;
    std::thread([&] {
        static thread_local AtEnd at_end;  // ends after all that the cache keeps for the thread
        at_end.scoped = &scoped;
        scoped.cache.get_or_compute("first", [] { return Value("value"); });
    }).join();
    CHECK(scoped.cache.get("last").value() == "last words");
}
