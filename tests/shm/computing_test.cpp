#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "shm/cache.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;

namespace {

using Value = std::optional<std::string>;

/// A thread that asks for a key whose computation is under the test's control.
class Caller {
public:
    Caller(ScopedCache& scoped, std::string key, Value value, EntryOptions options = {})
        : thread_([this, &scoped, key = std::move(key), value = std::move(value), options = std::move(options)] {
              try {
                  const Pinned got = scoped.cache.get_or_compute(
                      key,
                      [this, &value] {
                          computes = true;
                          eventually([this] { return may_end.load(); });
                          if (!value) throw std::runtime_error("the source is away");
                          return value->empty() ? Value() : value;
                      },
                      options);
                  answer = got.value();
                  state = got.state();
                  source = got.source();
                  answered = true;
              } catch (const ComputeFailed&) {
                  answer = "ComputeFailed";
              } catch (const std::exception& error) {
                  answer = error.what();
              }
          }) {}
    ~Caller() { join(); }
    void join() {
        may_end = true;
        if (thread_.joinable()) thread_.join();
    }
    bool is_computing() const {
        return eventually([this] { return computes.load(); });
    }

    std::atomic<bool> computes{false}, may_end{false}, answered{false};
    std::string answer;
    State state = State::none;
    Source source = Source::none;

private:
    std::thread thread_;
};

bool waits_reach(const ScopedCache& scoped, std::uint64_t count) {
    return eventually([&] { return scoped.count(Counter::lease_waits) >= count; });
}

}  // namespace

TEST_CASE("Threads that miss one key at once compute it once and share the value", "[computing][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    std::atomic<int> computations{0};
    std::vector<std::thread> threads;
    std::array<std::string, 8> got;
    for (std::size_t i = 0; i < got.size(); ++i) {
        threads.emplace_back([&, i] {
            got[i] = scoped.cache
                         .get_or_compute("key",
                                         [&]() -> Value {
                                             ++computations;
                                             waits_reach(scoped, 7);
                                             return "value";
                                         })
                         .value();
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(computations == 1);
    for (const std::string& value : got) CHECK(value == "value");
    const shm::CounterTotals totals = scoped.totals();
    CHECK(totals.lookups() == 8);
    CHECK(totals.misses() == 8);
    CHECK(totals[Counter::lease_waits] == 7);
    CHECK(totals[Counter::computations] == 1);
    CHECK(totals[Counter::lease_timeouts] == 0);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("Processes that miss one key at once compute it once and share the value", "[R10][computing][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    std::vector<ChildProcess> children;
    for (int i = 0; i < 5; ++i) {
        children.push_back(ChildProcess::start([&](Channel& parent) {
            const Pinned got = scoped.cache.get_or_compute("key", [&]() -> Value {
                parent.tell('c');
                parent.hear();
                return "value";
            });
            if (got.value() != "value") return 1;
            parent.tell(got.source() == Source::waited ? 'w' : 'h');
            return 0;
        }));
    }
    REQUIRE(waits_reach(scoped, 4));
    int computed = 0;
    for (ChildProcess& child : children) child.tell('g');
    for (ChildProcess& child : children) {
        if (child.hear() == 'c') ++computed;
        CHECK(child.wait().exited_with(0));
    }
    CHECK(computed == 1);
    CHECK(scoped.count(Counter::computations) == 1);
    CHECK(scoped.totals().misses() == 5);
}

TEST_CASE("A killed holder's waiter computes instead", "[R10][computing][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    ChildProcess holder = ChildProcess::start([&](Channel& parent) {
        scoped.cache.get_or_compute("key", [&]() -> Value {
            parent.tell('c');
            parent.hear();
            return "late";
        });
        return 0;
    });
    REQUIRE(holder.hear() == 'c');
    const bool waits_before = GENERATE(true, false);
    if (!waits_before) {
        holder.kill(SIGKILL);
        REQUIRE(holder.wait().was_killed_by(SIGKILL));
    }
    Caller caller(scoped, "key", "value");
    if (waits_before) {
        REQUIRE(waits_reach(scoped, 1));
        holder.kill(SIGKILL);
        REQUIRE(holder.wait().was_killed_by(SIGKILL));
    }
    caller.join();
    CHECK(caller.answer == "value");
    CHECK(caller.source == Source::computed);
    CHECK(scoped.count(Counter::lease_takeovers) == 1);
    CHECK(scoped.count(Counter::lease_timeouts) == 0);
    CHECK(scoped.cache.get("key").value() == "value");
}

TEST_CASE("What a computation throws reaches its caller, and ComputeFailed its waiters", "[computing][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    Caller holder(scoped, "key", std::nullopt);
    REQUIRE(holder.is_computing());
    Caller waiter(scoped, "key", "not asked");
    REQUIRE(waits_reach(scoped, 1));
    holder.join();
    waiter.join();
    CHECK(holder.answer == "the source is away");
    CHECK(waiter.answer == "ComputeFailed");
    CHECK_FALSE(waiter.computes);
    CHECK(scoped.count(Counter::compute_failures) == 1);
    SECTION("who asks later computes at once") {
        CHECK(scoped.cache.get_or_compute("key", [] { return Value("now"); }).value() == "now");
    }
}

TEST_CASE("A failed computation is answered with a value within stale_if_error of its end", "[computing]") {
    ScopedCache scoped;
    EntryOptions options;
    options.ttl = 10s;
    options.stale_if_error = 20s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    const auto fail = []() -> Value { throw std::runtime_error("the source is away"); };
    scoped.clock->advance(29'999ms);
    SECTION("stale, also after other puts, and never by get") {
        REQUIRE(scoped.cache.put("other", "value") == PutResult::stored);
        const Pinned got = scoped.cache.get_or_compute("key", fail);
        CHECK(got.state() == State::stale);
        CHECK(got.value() == "old");
        CHECK(scoped.count(Counter::stale_on_error) == 1);
        CHECK(scoped.cache.get("key").state() == State::none);
    }
    SECTION("gone when the time is over") {
        scoped.clock->advance(1ms);
        CHECK_THROWS_WITH(scoped.cache.get_or_compute("key", fail), "the source is away");
    }
    SECTION("never what a notice named") {
        scoped.cache.invalidate("key");
        CHECK_THROWS_WITH(scoped.cache.get_or_compute("key", fail), "the source is away");
    }
}

TEST_CASE("The waiter of a failed computation is given the stale value too", "[computing]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    EntryOptions options;
    options.ttl = 10s;
    options.stale_if_error = 20s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    scoped.clock->advance(10s);
    Caller holder(scoped, "key", std::nullopt);
    REQUIRE(holder.is_computing());
    Caller waiter(scoped, "key", "not asked");
    REQUIRE(waits_reach(scoped, 1));
    holder.join();
    waiter.join();
    CHECK(holder.answer == "old");
    CHECK(waiter.answer == "old");
    CHECK(waiter.state == State::stale);
}

TEST_CASE("A source that knows of nothing leaves a negative entry with its own ttl", "[computing]") {
    ScopedCache scoped;
    int computations = 0;
    EntryOptions options;
    options.negative_ttl = 5s;
    const auto ask = [&] {
        return scoped.cache.get_or_compute(
            "key", [&] { return ++computations, Value(); }, options);
    };
    for (int i = 0; i < 3; ++i) {
        const Pinned got = ask();
        CHECK(got.state() == State::negative);
        CHECK_FALSE(got);
    }
    CHECK(computations == 1);
    CHECK(scoped.count(Counter::hits) == 2);
    scoped.clock->advance(4'999ms);
    ask();
    CHECK(computations == 1);
    scoped.clock->advance(1ms);
    ask();
    CHECK(computations == 2);
}

TEST_CASE("Times without end are as good as any", "[computing][tsan]") {
    Options options;
    options.lease_time = options.wait_time = options.lock_budget = std::chrono::milliseconds::max();
    ScopedCache scoped(options);
    Caller first(scoped, "key", "value");
    REQUIRE(first.is_computing());
    Caller second(scoped, "key", "another");
    REQUIRE(eventually([&] { return scoped.count(Counter::lease_waits) == 1; }));
    first.join();
    second.join();
    CHECK_FALSE(second.computes);
    CHECK(second.answer == "value");
}

TEST_CASE("While one caller renews a stale value the others are served it at once", "[computing][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    EntryOptions options;
    options.soft_ttl = 10s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    scoped.clock->advance(10s);
    Caller renewer(scoped, "key", "new", options);
    REQUIRE(renewer.is_computing());
    const Pinned meanwhile = scoped.cache.get_or_compute("key", [] { return Value("not asked"); });
    CHECK(meanwhile.state() == State::stale);
    CHECK(meanwhile.value() == "old");
    renewer.join();
    CHECK(renewer.answer == "new");
    CHECK(renewer.source == Source::computed);
    CHECK(scoped.cache.get("key").state() == State::live);
    CHECK(scoped.cache.get("key").value() == "new");
    CHECK(meanwhile.value() == "old");
    CHECK(scoped.count(Counter::stale_hits) == 1);
    CHECK(scoped.totals().misses() == 1);
}

TEST_CASE("A renewal that fails leaves the stale value to its caller", "[computing]") {
    ScopedCache scoped;
    EntryOptions options;
    options.soft_ttl = 10s;
    REQUIRE(scoped.cache.put("key", "old", options) == PutResult::stored);
    scoped.clock->advance(10s);
    const Pinned got = scoped.cache.get_or_compute("key", []() -> Value { throw std::runtime_error("away"); });
    CHECK(got.value() == "old");
    CHECK(got.state() == State::stale);
}

TEST_CASE("Computations that need each other do not wait for each other", "[R10][computing][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    std::atomic<int> both{0};
    const auto compute_by_other = [&](std::string_view key, std::string_view other) {
        return std::string(scoped.cache
                               .get_or_compute(key,
                                               [&]() -> Value {
                                                   ++both;
                                                   eventually([&] { return both == 2; });
                                                   const Pinned inner = scoped.cache.get_or_compute(
                                                       other, [] { return Value("inner"); });
                                                   return "outer of " + std::string(inner.value());
                                               })
                               .value());
    };
    std::string one, two;
    std::thread thread([&] { one = compute_by_other("a", "b"); });
    two = compute_by_other("b", "a");
    thread.join();
    CHECK(one.substr(0, 8) == "outer of");
    CHECK(two.substr(0, 8) == "outer of");
    CHECK(scoped.count(Counter::lease_timeouts) == 0);
    CHECK(scoped.count(Counter::lease_waits) == 0);
}

TEST_CASE("A computation that asks for its own key computes it without a lease", "[computing]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    const Pinned got = scoped.cache.get_or_compute("key", [&]() -> Value {
        return "outer of " + std::string(scoped.cache.get_or_compute("key", [] { return Value("inner"); }).value());
    });
    CHECK(got.value() == "outer of inner");
    CHECK(scoped.count(Counter::lease_timeouts) == 0);
}

TEST_CASE("begin gives one lease; fill ends it with a value, abandon without", "[computing]") {
    ScopedCache scoped;
    Begun first = scoped.cache.begin("key");
    REQUIRE(std::holds_alternative<Lease>(first));
    CHECK(std::holds_alternative<Busy>(scoped.cache.begin("key")));
    Lease& lease = std::get<Lease>(first);
    CHECK(lease.key() == "key");
    SECTION("filled") {
        CHECK(scoped.cache.fill(std::move(lease), "value") == PutResult::stored);
        Begun next = scoped.cache.begin("key");
        REQUIRE(std::holds_alternative<Hit>(next));
        CHECK(std::get<Hit>(next).pinned.value() == "value");
        CHECK(scoped.count(Counter::hits) == 1);
    }
    SECTION("abandoned") {
        scoped.cache.abandon(std::move(lease));
        CHECK(std::holds_alternative<Lease>(scoped.cache.begin("key")));
    }
    SECTION("dropped") {
        lease = Lease();
        CHECK(std::holds_alternative<Lease>(scoped.cache.begin("key")));
    }
    SECTION("filled twice") {
        Lease moved = std::move(lease);
        CHECK_FALSE(static_cast<bool>(lease));
        CHECK(scoped.cache.fill(std::move(lease), "value") == PutResult::busy);
        CHECK(scoped.cache.fill(std::move(moved), "value") == PutResult::stored);
    }
    CHECK(scoped.totals()[Counter::lease_waits] == 1);
}

TEST_CASE("The late value of a holder that lost its lease is refused", "[computing]") {
    const Watchdog watchdog;
    Options options;
    options.lease_time = 1ms;
    ScopedCache scoped(options);
    Begun first = scoped.cache.begin("key"), second;
    REQUIRE(std::holds_alternative<Lease>(first));
    REQUIRE(eventually([&] { return std::holds_alternative<Lease>(second = scoped.cache.begin("key")); }));
    CHECK(scoped.cache.fill(std::move(std::get<Lease>(first)), "late") == PutResult::older);
    CHECK(scoped.cache.get("key").state() == State::none);
    CHECK(scoped.cache.fill(std::move(std::get<Lease>(second)), "value") == PutResult::stored);
    CHECK(scoped.cache.get("key").value() == "value");
    CHECK(scoped.count(Counter::lease_takeovers) == 1);
}

TEST_CASE("A value overtaken while it was computed goes to those who asked before, and to nobody later",
          "[computing][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    Caller holder(scoped, "key", "overtaken");
    REQUIRE(holder.is_computing());
    Caller before(scoped, "key", "not asked");
    REQUIRE(waits_reach(scoped, 1));
    scoped.cache.invalidate("key");
    Caller after(scoped, "key", "fresh");
    REQUIRE(waits_reach(scoped, 2));
    holder.join();
    eventually([&] { return before.answered.load(); });
    after.join();
    before.join();
    CHECK(holder.answer == "overtaken");
    CHECK(before.answer == "overtaken");
    CHECK(after.answer == "fresh");
    CHECK(scoped.cache.get("key").value() == "fresh");
    CHECK(scoped.count(Counter::fenced_fills) == 1);
    CHECK(scoped.count(Counter::computations) == 2);
}

TEST_CASE("A value overtaken while it was computed is not served by get", "[computing]") {
    ScopedCache scoped;
    const Pinned got = scoped.cache.get_or_compute("key", [&]() -> Value {
        scoped.cache.invalidate("key");
        return "overtaken";
    });
    CHECK(got.value() == "overtaken");
    CHECK(scoped.cache.get("key").state() == State::none);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A computation may add the tags and the ttl that it learned from the source", "[computing]") {
    ScopedCache scoped;
    const auto compute = [](EntryOptions& options) -> Value {
        options.tags.push_back("course 7");
        options.ttl = 2s;
        return "value";
    };
    scoped.cache.get_or_compute("key", compute);
    CHECK(scoped.cache.get("key").value() == "value");
    scoped.clock->advance(2s);
    CHECK(scoped.cache.get("key").state() == State::none);
    scoped.cache.get_or_compute("key", compute);
    scoped.cache.invalidate_tag("course 7");
    CHECK(scoped.cache.get("key").state() == State::none);
}

TEST_CASE("A wait for another's computation ends at its deadline", "[R5][computing]") {
    const Watchdog watchdog;
    Options options;
    options.wait_time = 30ms;
    ScopedCache scoped(options);
    Caller holder(scoped, "key", "slow");
    REQUIRE(holder.is_computing());
    CHECK(scoped.cache.get_or_compute("key", [] { return Value("own"); }).value() == "own");
    CHECK(scoped.count(Counter::lease_timeouts) == 1);
}

TEST_CASE("Values that cannot be kept are still given to their callers", "[computing]") {
    ScopedCache scoped;
    const std::string large(scoped.view().geometry->arena_bytes / 4 + 1, 'x');
    const auto ask = [&](std::string_view key, const std::string& value) {
        const Pinned got = scoped.cache.get_or_compute(key, [&] { return Value(value); });
        return got.value() == value && got.source() == Source::computed;
    };
    CHECK(ask("too large", large));
    CHECK(ask("too large", large));
    CHECK(ask("", "value"));
    CHECK(ask(std::string(1025, 'k'), "value"));
    CHECK(scoped.count(Counter::too_large) == 2);
    CHECK(scoped.entries() == 0);
}
