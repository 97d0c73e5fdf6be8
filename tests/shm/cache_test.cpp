// What the public face promises of one entry: results, times, fences, counts, limits. (Handles: pinned_test.cpp.)
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/geometry.hpp"
#include "shm/histogram.hpp"
#include "shm/testing.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
namespace testing = larder::shm::testing;

namespace {

EntryOptions with_ttl(std::chrono::milliseconds ttl) {
    EntryOptions options;
    options.ttl = ttl;
    return options;
}
EntryOptions with_tags(std::vector<std::string> tags) {
    EntryOptions options;
    options.tags = std::move(tags);
    return options;
}
EntryOptions with_stamp(const Stamp& stamp, std::vector<std::string> tags = {}) {
    EntryOptions options = with_tags(std::move(tags));
    options.as_of = stamp;
    return options;
}

}  // namespace

TEST_CASE("Keys of 1 to 1024 bytes are kept, others are refused by name", "[cache]") {
    ScopedCache scoped;
    const std::string longest(1024, 'k'), too_long(1025, 'k'), binary("\0\xFF\n", 3);
    CHECK(scoped.cache.put("", "value") == PutResult::bad_key);
    CHECK(scoped.cache.put(too_long, "value") == PutResult::bad_key);
    CHECK(scoped.cache.put(longest, "value") == PutResult::stored);
    CHECK(scoped.cache.put(binary, "value") == PutResult::stored);
    CHECK(scoped.cache.get(longest).value() == "value");
    CHECK(scoped.cache.get(binary).value() == "value");
    for (const std::string& bad : {std::string(), too_long}) {
        CHECK_FALSE(scoped.cache.get(bad));
        CHECK_FALSE(scoped.cache.peek(bad));
        CHECK_FALSE(scoped.cache.erase(bad));
        CHECK_FALSE(scoped.cache.touch(bad, 1s));
        Begun begun = scoped.cache.begin(bad);
        REQUIRE(std::holds_alternative<Lease>(begun));  // to be computed, not to be waited for
        CHECK(scoped.cache.fill(std::move(std::get<Lease>(begun)), "value") == PutResult::bad_key);
    }
    CHECK(scoped.totals().lookups() == 6);
    CHECK(scoped.totals().misses() == 4);
}

TEST_CASE("Values up to a quarter of a shard are kept, others are refused by name", "[cache]") {
    ScopedCache scoped;
    const std::string largest(scoped.view().geometry->arena_bytes / 4, 'v');
    CHECK(scoped.cache.put("largest", largest) == PutResult::stored);
    CHECK(scoped.cache.get("largest").value() == largest);
    CHECK(scoped.cache.put("larger", largest + 'v') == PutResult::too_large);
    CHECK(scoped.cache.put("empty", "") == PutResult::bad_value);
    CHECK_FALSE(scoped.cache.contains("larger"));
    CHECK_FALSE(scoped.cache.contains("empty"));
    CHECK(scoped.count(Counter::too_large) == 1);
}

TEST_CASE("At most 16 tags of 1 to 256 bytes are taken", "[cache]") {
    ScopedCache scoped;
    std::vector<std::string> tags;
    for (int i = 0; i < 16; ++i) tags.push_back(std::string(255, 't') + static_cast<char>('a' + i));
    CHECK(scoped.cache.put("key", "value", with_tags(tags)) == PutResult::stored);
    CHECK(scoped.cache.get("key").value() == "value");
    scoped.cache.invalidate_tag(tags.back());
    CHECK_FALSE(scoped.cache.get("key"));
    tags.push_back("one more");
    CHECK(scoped.cache.put("key", "value", with_tags(tags)) == PutResult::too_large);
    CHECK(scoped.cache.put("key", "value", with_tags({std::string(257, 't')})) == PutResult::too_large);
    CHECK(scoped.cache.put("key", "value", with_tags({""})) == PutResult::too_large);
}

TEST_CASE("A put that cannot store makes the older value unavailable", "[cache]") {
    ScopedCache scoped;
    const Stamp before = scoped.cache.stamp();
    REQUIRE(scoped.cache.put("key", "old") == PutResult::stored);
    SECTION("because it is too large") {
        CHECK(scoped.cache.put("key", "new", with_tags(std::vector<std::string>(17, "t"))) == PutResult::too_large);
    }
    SECTION("because there is no space") {
        testing::fail_allocation(1, true);
        CHECK(scoped.cache.put("key", "new") == PutResult::no_space);
        testing::fail_allocation(0);
    }
    SECTION("because it was overtaken") {
        scoped.cache.invalidate_tag("tag");
        CHECK(scoped.cache.put("key", "new", with_stamp(before, {"tag"})) == PutResult::fenced);
    }
    CHECK_FALSE(scoped.cache.get("key"));
    CHECK(scoped.cache.put("key", "newer") == PutResult::stored);
    CHECK(scoped.cache.get("key").value() == "newer");
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("An entry is dead from insertion + ttl on", "[cache]") {
    ScopedCache scoped;
    const bool named = GENERATE(true, false);
    const std::chrono::milliseconds ttl = named ? 1'500ms : 300'000ms;
    REQUIRE(scoped.cache.put("key", "value", named ? with_ttl(ttl) : EntryOptions()) == PutResult::stored);
    scoped.clock->advance(ttl - 1ns);
    CHECK(scoped.cache.get("key").state() == State::live);
    scoped.clock->advance(1ns);
    CHECK(scoped.cache.get("key").state() == State::none);
    CHECK_FALSE(scoped.cache.contains("key"));
    CHECK(scoped.count(Counter::misses_expired) == 1);
}

TEST_CASE("touch gives a live entry a new ttl and keeps its tags; it revives nothing", "[cache]") {
    ScopedCache scoped;
    EntryOptions options = with_tags({"tag"});
    options.ttl = 10s;
    REQUIRE(scoped.cache.put("key", "value", options) == PutResult::stored);
    scoped.clock->advance(9s);
    CHECK(scoped.cache.touch("key", 10s));
    scoped.clock->advance(9s);
    CHECK(scoped.cache.peek("key").value() == "value");
    const bool fenced = GENERATE(true, false);
    if (fenced)
        scoped.cache.invalidate_tag("tag");
    else
        scoped.clock->advance(1s);
    CHECK_FALSE(scoped.cache.touch("key", 10s));
    CHECK_FALSE(scoped.cache.peek("key"));
    CHECK(scoped.totals().lookups() == 0);
}

TEST_CASE("find counts what it finds, and nothing where get_or_compute comes next", "[cache]") {
    ScopedCache scoped;
    EntryOptions options;
    options.soft_ttl = 10s;
    CHECK_FALSE(scoped.cache.find("key"));
    scoped.cache.put("key", "value", options);
    CHECK(scoped.cache.find("key").value() == "value");
    CHECK(scoped.cache.find("key", false).value() == "value");
    CHECK(scoped.count(Counter::hits) == 1);
    scoped.clock->advance(11s);
    CHECK(scoped.cache.find("key").state() == State::stale);
    CHECK(scoped.count(Counter::stale_hits) == 1);
    scoped.cache.invalidate("key");
    CHECK_FALSE(scoped.cache.find("key"));
    options.negative = true;
    scoped.cache.put("key", "", options);
    CHECK(scoped.cache.find("key", false).state() == State::negative);
    CHECK(scoped.count(Counter::hits) == 2);
    CHECK(scoped.cache.key_use("key").misses == 0);
}

TEST_CASE("No live entry is evicted while an expired one is there", "[cache]") {
    Options limits;
    limits.max_entries = 20;
    ScopedCache scoped(limits);
    for (int i = 0; i < 10; ++i) scoped.cache.put("live:" + std::to_string(i), "value");
    for (int i = 0; i < 10; ++i) {
        EntryOptions options = with_ttl(1s);
        options.stale_if_error = 60s;  // which does not save it
        scoped.cache.put("brief:" + std::to_string(i), "value", options);
    }
    scoped.clock->advance(1s);
    for (int i = 0; i < 10; ++i) REQUIRE(scoped.cache.put("new:" + std::to_string(i), "value") == PutResult::stored);
    for (int i = 0; i < 10; ++i) CHECK(scoped.cache.contains("live:" + std::to_string(i)));
    CHECK(scoped.count(Counter::evictions) == 0);
    CHECK(scoped.cache.put("one more", "value") == PutResult::stored);
    CHECK(scoped.count(Counter::evictions) == 1);
    CHECK(scoped.count(Counter::expirations) == 10);
}

TEST_CASE("Past the soft ttl an entry is stale, and still a hit", "[cache]") {
    ScopedCache scoped;
    EntryOptions options = with_ttl(10s);
    options.soft_ttl = 4s;
    REQUIRE(scoped.cache.put("key", "value", options) == PutResult::stored);
    scoped.clock->advance(3'999ms);
    CHECK(scoped.cache.get("key").state() == State::live);
    scoped.clock->advance(1ms);
    CHECK(scoped.cache.get("key").state() == State::stale);
    CHECK(static_cast<bool>(scoped.cache.get("key")));
    scoped.clock->advance(6s);
    CHECK(scoped.cache.get("key").state() == State::none);
    CHECK(scoped.count(Counter::hits) == 3);
    CHECK(scoped.count(Counter::stale_hits) == 2);
}

TEST_CASE("A negative entry is a hit without a value, for its own ttl", "[cache]") {
    ScopedCache scoped;
    EntryOptions options;
    options.negative = true;
    REQUIRE(scoped.cache.put("key", "", options) == PutResult::stored);
    CHECK(scoped.cache.get("key").state() == State::negative);
    CHECK_FALSE(scoped.cache.get("key"));
    CHECK(scoped.cache.contains("key"));
    CHECK(scoped.count(Counter::hits) == 2);
    scoped.clock->advance(30s);
    CHECK(scoped.cache.get("key").state() == State::none);
}

TEST_CASE("Jitter takes up to its share off the ttl, and spreads", "[cache]") {
    ScopedCache scoped;
    EntryOptions options = with_ttl(100s);
    options.jitter = 0.25;
    for (int i = 0; i < 100; ++i)
        REQUIRE(scoped.cache.put("key:" + std::to_string(i), "value", options) == PutResult::stored);
    const auto alive = [&] {
        int count = 0;
        for (int i = 0; i < 100; ++i) count += scoped.cache.contains("key:" + std::to_string(i)) ? 1 : 0;
        return count;
    };
    scoped.clock->advance(74'999ms);
    CHECK(alive() == 100);
    scoped.clock->advance(12'501ms);
    CHECK(alive() > 20);
    CHECK(alive() < 80);
    scoped.clock->advance(12'500ms);
    CHECK(alive() == 0);
}

TEST_CASE("What was read before a notice is dead after it", "[cache]") {
    ScopedCache scoped;
    const Stamp before = scoped.cache.stamp();
    REQUIRE(scoped.cache.put("page:1", "value", with_tags({"tag"})) == PutResult::stored);
    REQUIRE(scoped.cache.put("user:1", "value") == PutResult::stored);
    bool others_die = false;
    SECTION("key") { CHECK(scoped.cache.invalidate("page:1") == before.notice + 1); }
    SECTION("keys") {
        const std::array<std::string_view, 2> keys{"page:1", "page:2"};
        CHECK(scoped.cache.invalidate(keys) == before.notice + 1);
    }
    SECTION("tag") { CHECK(scoped.cache.invalidate_tag("tag") == before.notice + 1); }
    SECTION("namespace") { CHECK(scoped.cache.invalidate_namespace("page") == before.notice + 1); }
    SECTION("all") {
        CHECK(scoped.cache.invalidate_all() == before.notice + 1);
        others_die = true;
    }
    CHECK_FALSE(scoped.cache.get("page:1"));
    CHECK(scoped.cache.contains("user:1") != others_die);
    CHECK(scoped.cache.put("page:1", "late", with_stamp(before, {"tag"})) == PutResult::fenced);
    CHECK_FALSE(scoped.cache.get("page:1"));
    CHECK(scoped.cache.put("page:1", "new", with_stamp(scoped.cache.stamp(), {"tag"})) == PutResult::stored);
    CHECK(scoped.cache.get("page:1").value() == "new");
    CHECK(scoped.count(Counter::misses_invalidated) == 2);
    CHECK(scoped.count(Counter::fenced_fills) == 1);
}

TEST_CASE("A reader in the middle of a notice keeps nothing alive past its end", "[cache]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("page:1", "value", with_tags({"tag"})) == PutResult::stored);
    int reads = 0;
    testing::call_at_crash_point(GENERATE("fences.raise", "fences.applied"), 1, [&] {
        ++reads;
        scoped.cache.get("page:1");
    });
    SECTION("key") { scoped.cache.invalidate("page:1"); }
    SECTION("tag") { scoped.cache.invalidate_tag("tag"); }
    SECTION("namespace") { scoped.cache.invalidate_namespace("page"); }
    SECTION("all") { scoped.cache.invalidate_all(); }
    CHECK(reads == 1);
    CHECK_FALSE(scoped.cache.get("page:1"));
}

TEST_CASE("A notice names nothing but what it says: key, tag and namespace of one text are three", "[cache]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("x:1", "value", with_tags({"y"})) == PutResult::stored);
    scoped.cache.invalidate("x");
    scoped.cache.invalidate("y");
    scoped.cache.invalidate_tag("x");
    scoped.cache.invalidate_tag("x:1");
    scoped.cache.invalidate_namespace("y");
    scoped.cache.invalidate_namespace("x:1");
    CHECK(scoped.cache.get("x:1").value() == "value");
}

TEST_CASE("Stamps of another segment and of the future are refused", "[cache]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "older") == PutResult::stored);
    Stamp foreign = scoped.cache.stamp();
    ++foreign.incarnation;
    CHECK(scoped.cache.put("key", "value", with_stamp(foreign)) == PutResult::fenced);
    CHECK_FALSE(scoped.cache.contains("key"));
    Stamp future = scoped.cache.stamp();
    ++future.notice;
    CHECK(scoped.cache.put("key", "value", with_stamp(future)) == PutResult::fenced);
    CHECK(scoped.cache.put("key", "value", with_stamp(Stamp())) == PutResult::fenced);
    CHECK_FALSE(scoped.cache.contains("key"));
    CHECK(scoped.count(Counter::fenced_fills) == 3);
    CHECK(scoped.cache.put("key", "value") == PutResult::stored);
}

TEST_CASE("What was read earlier never replaces what was read later, while that lives", "[cache]") {
    ScopedCache scoped;
    const Stamp earlier = scoped.cache.stamp();
    scoped.cache.invalidate("something else");
    REQUIRE(scoped.cache.put("key", "later", with_ttl(10s)) == PutResult::stored);
    CHECK(scoped.cache.put("key", "earlier", with_stamp(earlier)) == PutResult::older);
    CHECK(scoped.cache.get("key").value() == "later");
    CHECK(scoped.count(Counter::older_puts) == 1);
    scoped.clock->advance(10s);
    CHECK(scoped.cache.put("key", "earlier", with_stamp(earlier)) == PutResult::stored);
    CHECK(scoped.cache.get("key").value() == "earlier");
}

TEST_CASE("erase says whether a live entry was there, and is a notice", "[cache]") {
    ScopedCache scoped;
    const Stamp before = scoped.cache.stamp();
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    CHECK(scoped.cache.erase("key"));
    CHECK_FALSE(scoped.cache.erase("key"));
    CHECK(scoped.entries() == 0);
    CHECK(scoped.cache.put("key", "late", with_stamp(before)) == PutResult::fenced);
    CHECK_FALSE(scoped.cache.get("key"));
    CHECK(scoped.count(Counter::misses_invalidated) == 1);
}

TEST_CASE("peek, contains, touch and erase count no lookup; peek and contains leave the order of use", "[cache]") {
    Options strict;
    strict.recency = Options::Recency::strict;
    strict.max_entries = 2;
    ScopedCache scoped(strict);
    scoped.cache.put("a", "value");
    scoped.cache.put("b", "value");
    for (int i = 0; i < 3; ++i) {
        CHECK(scoped.cache.peek("a").value() == "value");
        CHECK(scoped.cache.contains("a"));
        CHECK_FALSE(scoped.cache.contains("absent"));
    }
    scoped.cache.put("c", "value");
    CHECK_FALSE(scoped.cache.contains("a"));
    CHECK(scoped.cache.contains("b"));
    scoped.cache.touch("b", 5s);
    scoped.cache.erase("absent");
    CHECK(scoped.totals().lookups() == 0);
}

TEST_CASE("Several keys may be named in braces", "[cache]") {
    ScopedCache scoped;
    for (const char* key : {"a", "b", "c"}) scoped.cache.put(key, "value");
    scoped.cache.invalidate({"a", "b"});
    CHECK_FALSE(scoped.cache.get("a"));
    CHECK_FALSE(scoped.cache.get("b"));
    CHECK(scoped.cache.get("c"));
}

TEST_CASE("A namespace may be named with the colon at its end", "[cache]") {
    ScopedCache scoped;
    scoped.cache.put("page:1", "value");
    scoped.cache.invalidate_namespace("page:");
    CHECK_FALSE(scoped.cache.get("page:1"));
}

TEST_CASE("A time to live below 0 is over", "[cache]") {
    ScopedCache scoped;
    EntryOptions over;
    over.ttl = -1ms;
    scoped.cache.put("key", "value", over);
    CHECK_FALSE(scoped.cache.get("key"));
    scoped.cache.put("key", "value");
    CHECK(scoped.cache.touch("key", -1ms));
    CHECK_FALSE(scoped.cache.get("key"));
}

TEST_CASE("A touched value becomes stale when it would have", "[cache]") {
    ScopedCache scoped;
    EntryOptions soft;
    soft.soft_ttl = 30ms;
    REQUIRE(scoped.cache.put("key", "value", soft) == PutResult::stored);
    REQUIRE(scoped.cache.touch("key", 10s));
    scoped.clock->advance(40ms);
    CHECK(scoped.cache.get("key").state() == State::stale);
}

TEST_CASE("A value that could never fit evicts nobody", "[cache]") {
    Options options;
    options.expected_entries = 58'000;  // much of a shard is the index then
    ScopedCache scoped(options);
    for (int i = 0; i < 900; ++i)
        REQUIRE(scoped.cache.put("key:" + std::to_string(i), std::string(1000, 'v')) == PutResult::stored);
    const std::string large(shm::max_value_bytes(*scoped.view().geometry) + 1, 'v');
    CHECK(scoped.cache.put("large", large) == PutResult::too_large);
    CHECK(scoped.entries() == 900);
}

TEST_CASE("get_many answers in the order of the keys and counts each", "[cache]") {
    ScopedCache scoped;
    scoped.cache.put("a", "1");
    scoped.cache.put("b", "2");
    const std::array<std::string_view, 7> keys{"b", "absent", "a", "b", "a", "b", ""};
    const std::vector<Pinned> got = scoped.cache.get_many(keys);
    REQUIRE(got.size() == keys.size());
    const std::array<std::string_view, 7> expected{"2", "", "1", "2", "1", "2", ""};
    for (std::size_t i = 0; i < keys.size(); ++i) CHECK(got[i].value() == expected[i]);
    CHECK(scoped.count(Counter::hits) == 5);
    CHECK(scoped.totals().misses() == 2);
    CHECK(scoped.cache.get_many({}).empty());
}

TEST_CASE("One hit of about a thousand is timed, whichever way it is asked for", "[cache]") {
    ScopedCache scoped;
    scoped.cache.put("key", "value");
    const auto timed = [&scoped](const std::function<void()>& ask) {
        const std::uint64_t before = shm::snapshot(scoped.view().header().lookup_ns).count;
        for (int i = 0; i < 10 * 1'024; ++i) ask();
        return shm::snapshot(scoped.view().header().lookup_ns).count - before;
    };
    CHECK(timed([&] { scoped.cache.get("key"); }) == 10);
    CHECK(timed([&] { scoped.cache.find("key"); }) == 10);
    CHECK(timed([&] { scoped.cache.get_or_compute("key", [] { return std::optional<std::string>("other"); }); }) == 10);
    CHECK(timed([&] { scoped.cache.find("key", false); }) == 0);
    CHECK(timed([&] { scoped.cache.peek("key"); }) == 0);
}
