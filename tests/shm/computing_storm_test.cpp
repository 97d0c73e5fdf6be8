// Storms of notices: what they cost in computations.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "shm/cache.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
using Value = std::optional<std::string>;

namespace {

struct Storm {
    ScopedCache scoped;
    EntryOptions options{.recompute_interval = 30ms};
    std::atomic<int> computations{0};

    std::string get() {
        const auto compute = [this]() -> Value { return std::to_string(++computations); };
        return std::string(scoped.cache.get_or_compute("key", compute, options).value());
    }
};

}  // namespace

TEST_CASE("What a notice overtook just now is computed again after a rest, and is fresh then", "[computing]") {
    Storm storm;
    CHECK(storm.get() == "1");
    storm.scoped.cache.invalidate("key");
    CHECK(storm.get() == "2");
    CHECK(storm.scoped.count(Counter::coalesced) == 1);
    CHECK(storm.get() == "2");
    CHECK(storm.scoped.count(Counter::computations) == 2);
}

TEST_CASE("A notice that comes within the rest costs no computation of its own", "[computing][tsan]") {
    Storm storm;
    storm.options.recompute_interval = 1s;
    storm.get();
    storm.scoped.cache.invalidate("key");
    bool rested = false;
    std::thread announcing([&] {
        rested = eventually([&] { return storm.scoped.count(Counter::coalesced) == 1; });
        for (int i = 0; i < 200; ++i) storm.scoped.cache.invalidate("key");
    });
    const std::string seen = storm.get();
    announcing.join();
    CHECK(rested);
    CHECK(seen == "2");
    CHECK(storm.get() == "2");
    CHECK(storm.scoped.count(Counter::fenced_fills) == 0);
}

TEST_CASE("A computation that was overtaken before it ended makes the next one rest, too", "[computing]") {
    Storm storm;
    storm.scoped.cache.get_or_compute(
        "key",
        [&]() -> Value {
            storm.scoped.cache.invalidate("key");
            return "overtaken";
        },
        storm.options);
    CHECK(storm.scoped.count(Counter::fenced_fills) == 1);
    CHECK(storm.get() == "1");
    CHECK(storm.scoped.count(Counter::coalesced) == 1);
}

TEST_CASE("Nobody rests without being told to, for what expired, or for another key", "[computing]") {
    Storm storm;
    storm.get();
    storm.scoped.clock->advance(1h);
    storm.get();
    storm.scoped.cache.get_or_compute(
        "other", [] { return Value("x"); }, storm.options);
    storm.options.recompute_interval = 0ms;
    storm.scoped.cache.invalidate("key");
    CHECK(storm.get() == "3");
    CHECK(storm.scoped.count(Counter::coalesced) == 0);
}

TEST_CASE("A computation of what is stale is counted as a refresh", "[computing]") {
    Storm storm;
    storm.options.soft_ttl = 10s;
    storm.get();
    storm.scoped.clock->advance(11s);
    CHECK(storm.get() == "2");
    CHECK(storm.scoped.count(Counter::refreshes) == 1);
}
