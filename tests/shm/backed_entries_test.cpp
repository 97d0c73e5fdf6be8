// Entries that are backed by a source: what is served of them while the source is followed, late, or away.
#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "shm/cache.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/replacement.hpp"
#include "shm/testing.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/waiters.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
using Value = std::optional<std::string>;

namespace {

Options promising(std::chrono::milliseconds degraded_after = 2s, std::chrono::milliseconds max_stale = 500ms) {
    Options options;
    options.degraded_after = degraded_after;
    options.max_stale = max_stale;
    return options;
}

EntryOptions backed(EntryOptions options = {}) {
    options.backed = true;
    return options;
}

EntryOptions read_at(std::uint64_t position, EntryOptions options = {}) {
    options.source_position = position;
    return backed(std::move(options));
}

/// A cache under a promise whose source is looked at.
struct Followed {
    ScopedCache scoped{promising()};
    Cache& cache = scoped.cache;

    void look(std::uint64_t position = 0) { cache.synced(cache.begin_sync(), position); }
    void advance(std::chrono::nanoseconds by) { scoped.clock->advance(by); }
    State state(const std::string& key = "key") {
        const State found = cache.get(key).state();
        const auto entry = shm::find_entry(scoped.view(), key, false, scoped.clock->now_ns());
        const bool is_dead =
            !entry || entry->state == shm::EntryState::expired || entry->state == shm::EntryState::invalidated;
        CHECK(is_dead == (found == State::none));  // who looks from outside sees the same
        return found;
    }
    PutResult put(const EntryOptions& options = backed(), const std::string& value = "value") {
        return cache.put("key", value, options);
    }
    std::string computed(const std::string& value, const EntryOptions& options = backed()) {
        return std::string(cache
                               .get_or_compute(
                                   "key", [&] { return Value(value); }, options)
                               .value());
    }
};

}  // namespace

TEST_CASE("A backed entry is served until max_stale past degraded_after, others until their ttl", "[sync]") {
    Followed f;
    f.look();
    REQUIRE(f.put() == PutResult::stored);
    REQUIRE(f.cache.put("other", "value") == PutResult::stored);
    f.advance(2'499ms);
    CHECK(f.state() == State::live);
    f.advance(1ms);
    const std::uint64_t before = f.scoped.count(Counter::misses_expired);
    CHECK(f.state() == State::none);
    CHECK(f.scoped.count(Counter::misses_expired) == before + 1);
    CHECK_FALSE(f.cache.contains("key"));
    CHECK_FALSE(f.cache.find("key"));
    CHECK(f.state("other") == State::live);
    SECTION("and again, with nothing computed, once the source is followed") {
        f.look();
        CHECK(f.state() == State::live);
    }
    SECTION("but not what was overtaken meanwhile") {
        const SyncStart begun = f.cache.begin_sync();
        f.cache.invalidate("key");
        f.cache.synced(begun);
        CHECK(f.state() == State::none);
    }
}

TEST_CASE("Nothing backed is served before the first look, but what was read within the promise", "[sync]") {
    Followed f;
    REQUIRE(f.put() == PutResult::stored);  // nobody knows when it was read
    CHECK(f.state() == State::none);
    CHECK(f.computed("computed") == "computed");
    CHECK(f.state() == State::live);
    f.advance(2'499ms);
    CHECK(f.state() == State::live);
    f.advance(1ms);
    CHECK(f.state() == State::none);
}

TEST_CASE("What was read from the source in an outage is good for as long as a look is", "[sync]") {
    Followed f;
    f.advance(1h);  // nobody follows it
    const auto is_good_for_its_time = [&] {
        CHECK(f.state() == State::live);
        f.advance(2'399ms);
        CHECK(f.state() == State::live);
        f.advance(1ms);
        CHECK(f.state() == State::none);
    };
    SECTION("computed, from the beginning of the computation on") {
        f.cache.get_or_compute(
            "key",
            [&] {
                f.advance(100ms);
                return Value("value");
            },
            backed());
        is_good_for_its_time();
    }
    SECTION("warmed") {
        f.cache.warm("key", [&](EntryOptions& options) {
            options.backed = true;
            f.advance(100ms);
            return Value("value");
        });
        is_good_for_its_time();
    }
    SECTION("filled, from the lease on") {
        Begun begun = f.cache.begin("key");
        f.advance(100ms);
        REQUIRE(f.cache.fill(std::move(std::get<Lease>(begun)), "value", backed()) == PutResult::stored);
        is_good_for_its_time();
    }
    SECTION("put with a stamp, from the stamp on") {
        EntryOptions options = backed();
        options.as_of = f.cache.stamp();
        f.advance(100ms);
        REQUIRE(f.put(options) == PutResult::stored);
        is_good_for_its_time();
    }
    SECTION("and not for longer when its ttl is renewed") {
        f.computed("value");
        f.advance(100ms);
        REQUIRE(f.cache.touch("key", 1h));
        is_good_for_its_time();
    }
    SECTION("a stamp of the future counts as now") {
        EntryOptions options = backed();
        options.as_of = f.cache.stamp();
        options.as_of->at_ns += 3'600'000'000'000;
        REQUIRE(f.put(options) == PutResult::stored);
        f.advance(2'500ms);
        CHECK(f.state() == State::none);
    }
}

TEST_CASE("An outage costs one computation for each key and promise, not one for each request", "[sync]") {
    Followed f;
    f.look();
    f.advance(1min);
    for (int i = 0; i < 250; ++i) {
        f.computed("value");
        f.advance(100ms);
    }
    CHECK(f.scoped.count(Counter::computations) == 10);
}

TEST_CASE("A backed entry that is late is never served as stale", "[sync]") {
    Followed f;
    f.look();
    EntryOptions options = backed();
    options.soft_ttl = 1s;
    options.stale_if_error = 1h;
    const auto fail = []() -> Value { throw std::runtime_error("the source is away"); };
    SECTION("past its soft ttl") {
        REQUIRE(f.put(options) == PutResult::stored);
        f.advance(1s);
        CHECK(f.state() == State::stale);
        CHECK(f.cache.get_or_compute("key", fail, options).state() == State::stale);
        f.advance(1'500ms);
        CHECK(f.state() == State::none);
        CHECK_THROWS_WITH(f.cache.get_or_compute("key", fail, options), "the source is away");
    }
    SECTION("past its ttl") {
        options.ttl = 2s;
        REQUIRE(f.put(options) == PutResult::stored);
        f.advance(2'400ms);
        CHECK(f.cache.get_or_compute("key", fail, options).state() == State::stale);
        f.advance(100ms);
        CHECK_THROWS_WITH(f.cache.get_or_compute("key", fail, options), "the source is away");
    }
    SECTION("where it was in time when the computation began") {
        REQUIRE(f.put(options) == PutResult::stored);
        f.advance(2s);
        const auto fail_late = [&]() -> Value {
            f.advance(500ms);
            throw std::runtime_error("the source is away");
        };
        CHECK_THROWS_WITH(f.cache.get_or_compute("key", fail_late, options), "the source is away");
    }
}

TEST_CASE("A negative entry that is backed is late like others", "[sync]") {
    Followed f;
    f.look();
    f.cache.get_or_compute(
        "key", [] { return Value(); }, backed());
    CHECK(f.state() == State::negative);
    f.advance(2'500ms);
    CHECK(f.state() == State::none);
    f.look();
    CHECK(f.state() == State::negative);
}

TEST_CASE("A late entry gives way to a value with an older stamp", "[sync]") {
    Followed f;
    f.look();
    const EntryOptions older = [&] {
        EntryOptions options = backed();
        options.as_of = f.cache.stamp();
        return options;
    }();
    f.cache.invalidate("another");
    REQUIRE(f.put() == PutResult::stored);
    CHECK(f.put(older, "older") == PutResult::older);
    f.advance(2'500ms);
    CHECK(f.put(older, "older") == PutResult::stored);
}

TEST_CASE("The promise is the segment's, whoever opens it", "[sync]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "value", backed()) == PutResult::stored);
    CHECK_FALSE(scoped.cache.sync_state());
    CHECK(scoped.cache.get("key").state() == State::live);
    Options options = scoped.options;
    options.degraded_after = 2s;
    Cache promising_one = Cache::open(options);
    CHECK(scoped.cache.sync_state().value().degraded);  // nobody has looked yet
    CHECK(scoped.cache.get("key").state() == State::none);
    scoped.cache.synced(scoped.cache.begin_sync());
    CHECK(scoped.cache.get("key").state() == State::live);
    CHECK_FALSE(promising_one.sync_state().value().degraded);

    Cache::open(scoped.options);  // without one: it stays
    CHECK(scoped.cache.sync_state().value().degraded_after == 2s);
    scoped.clock->advance(2s);
    CHECK(scoped.cache.get("key").state() == State::none);
    options.degraded_after = 1s;
    options.max_stale = 2s;
    Cache::open(options);  // another one
    CHECK(scoped.cache.sync_state().value().degraded);
    CHECK(scoped.cache.sync_state().value().max_stale == 2s);
    CHECK(scoped.cache.get("key").state() == State::live);
    scoped.clock->advance(1s);
    CHECK(scoped.cache.get("key").state() == State::none);
}

TEST_CASE("A segment that is replaced starts without a look", "[sync]") {
    Followed f;
    f.look();
    const SyncStart begun = f.cache.begin_sync();
    REQUIRE_FALSE(f.cache.sync_state().value().degraded);
    REQUIRE(shm::remove_cache(shm::locate(f.scoped.directory.path(), f.scoped.options.name, false)));
    eventually([&] { return f.cache.stamp().incarnation != 0 && f.cache.sync_state().value().degraded; });
    f.cache.synced(begun);  // of a look whose notices went to the other one
    CHECK_FALSE(f.cache.sync_state().value().age);
    f.look();
    CHECK_FALSE(f.cache.sync_state().value().degraded);
    f.cache.synced(SyncStart{});
    CHECK(f.cache.sync_state().value().age == 0ms);
}

TEST_CASE("A lookup that began before a notice is not saved by the look that came after it", "[sync]") {
    Followed f;
    f.look();
    REQUIRE(f.put() == PutResult::stored);
    REQUIRE(f.state() == State::live);
    f.advance(1min);
    // While the lookup judges the outage ends: its change is announced, then the look is.
    shm::testing::call_at_crash_point("lookup.judging", 1, [&] {
        f.cache.invalidate("key");
        f.look();
    });
    CHECK(f.cache.get("key").state() == State::none);
    shm::testing::disarm_crash();
}

TEST_CASE("A value is kept with the notices that its source had seen", "[sync]") {
    Followed f;
    f.look(100);
    REQUIRE(f.cache.invalidate("key") == 1);
    f.cache.invalidate("another");
    SECTION("behind the notice it is refused") {
        CHECK(f.put(read_at(199)) == PutResult::fenced);
        f.look(200);
        CHECK(f.put(read_at(199)) == PutResult::fenced);
        CHECK(f.state() == State::none);
    }
    SECTION("as far as a look behind the notice it is kept") {
        f.look(200);
        CHECK(f.put(read_at(200)) == PutResult::stored);
        CHECK(f.state() == State::live);
        f.cache.invalidate("key");
        CHECK(f.state() == State::none);
    }
    SECTION("what nobody announced is kept from the first look's position on") {
        CHECK(f.cache.put("quiet", "value", read_at(100)) == PutResult::stored);
        CHECK(f.state("quiet") == State::live);
    }
    SECTION("before it nothing is known, and the value is refused") {
        CHECK(f.cache.put("quiet", "value", read_at(99)) == PutResult::fenced);
        CHECK(f.state("quiet") == State::none);
        f.look(300);
        CHECK(f.cache.put("quiet", "value", backed()) == PutResult::stored);
    }
    SECTION("and after everything was invalidated no earlier look counts") {
        f.look(200);
        f.cache.invalidate_all();
        CHECK(f.put(read_at(1'000)) == PutResult::fenced);
        f.look(50);  // of another source
        CHECK(f.put(read_at(50)) == PutResult::stored);
    }
    SECTION("its own stamp counts where it is older") {
        EntryOptions options = read_at(1'000);
        options.as_of = f.cache.stamp();
        f.cache.invalidate("key");
        f.look(900);
        CHECK(f.put(options) == PutResult::fenced);
    }
}

TEST_CASE("Without any position nothing of a replica is kept, and a refused value hurts no later one", "[sync]") {
    Followed f;
    f.look();
    CHECK(f.put(read_at(5), "behind") == PutResult::fenced);
    CHECK(f.cache.put("key", "", read_at(5)) == PutResult::bad_value);
    CHECK(f.put(backed(), "of the source") == PutResult::stored);
    CHECK(f.state() == State::live);
}

TEST_CASE("A computation may say which position it read", "[sync]") {
    Followed f;
    f.look(100);
    f.cache.invalidate("key");
    const auto read = [&](std::uint64_t position) {
        return f.cache
            .get_or_compute(
                "key",
                [&](EntryOptions& options) {
                    options.source_position = position;
                    return Value("value");
                },
                backed())
            .state();
    };
    CHECK(read(150) == State::live);  // its caller has it
    CHECK(f.state() == State::none);
    f.look(200);
    CHECK(read(200) == State::live);
    CHECK(f.state() == State::live);
    SECTION("which says nothing of what the source had committed meanwhile") {
        f.advance(2'500ms);
        CHECK(f.state() == State::none);
        CHECK(read(200) == State::live);
        CHECK(f.state() == State::none);
        f.look();
        CHECK(f.state() == State::live);
    }
}

TEST_CASE("Who waits while the source is away gets a value after two computations at most", "[sync][computing]") {
    const Watchdog watchdog;
    Followed f;
    EntryOptions options = backed();
    SECTION("that take longer than the promise") {}
    SECTION("that read a replica behind the notices") {
        f.look(100);
        f.cache.invalidate("key");
        options = read_at(100);
    }
    SECTION("that read a replica of which nothing is known") { options = read_at(1); }
    std::atomic<int> computations{0}, served{0};
    std::vector<std::thread> callers;
    const auto compute = [&]() -> Value {
        if (computations++ == 0) eventually([&] { return f.scoped.count(Counter::lease_waits) == 4; });
        f.advance(3s);
        return "value";
    };
    for (int i = 0; i < 5; ++i)
        callers.emplace_back([&] {
            Cache cache = f.cache;
            if (cache.get_or_compute("key", compute, options).value() == "value") ++served;
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(served == 5);
    CHECK(computations <= 2);
    CHECK(f.scoped.count(Counter::lease_timeouts) == 0);
}

TEST_CASE("Who waits at an outage's end is not served what was late when it asked", "[sync][computing]") {
    const Watchdog watchdog;
    Followed f;
    REQUIRE(f.put() == PutResult::stored);
    f.look();
    f.advance(1min);
    std::optional<std::thread> waiter;
    std::string answer;
    std::atomic<bool> looked{false};
    const auto compute = [&]() -> Value {
        waiter.emplace([&] { answer = f.computed("its own"); });
        eventually([&] { return f.scoped.count(Counter::lease_waits) == 1; });
        f.cache.invalidate("key");
        f.look();
        // The second look of the waiter from now on has begun after that.
        shm::testing::call_at_crash_point("lookup.judging", 3, [&] { looked = true; });
        eventually([&] { return looked.load(); });
        f.advance(1s);
        return "new";
    };
    CHECK(f.cache.get_or_compute("key", compute, backed()).value() == "new");
    waiter->join();
    shm::testing::disarm_crash();
    CHECK(answer != "value");
}
