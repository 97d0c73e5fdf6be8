// The hottest keys and prefixes of a cache, seen by the counts of its key table.
#include "tools/hot_keys.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <string>

#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::ScopedCache;
using tools::HotKeys;
using tools::KeyHeat;
using tools::PrefixHeat;

namespace {

struct Scene {
    explicit Scene(Options options = {}) : scoped(std::move(options)), hot(scoped.view()) { hot.look(now_ns()); }

    /// The table has it, and the cache has not.
    void store_and_erase(const std::string& key) {
        scoped.cache.put(key, "v");
        scoped.cache.erase(key);
    }
    std::int64_t now_ns() const { return scoped.clock->now_ns(); }
    void ask(const std::string& key, int times) {
        for (int n = 0; n < times; ++n) scoped.cache.get(key);
    }
    void look_after(std::chrono::milliseconds time) {
        scoped.clock->advance(time);
        hot.look(now_ns());
    }
    KeyHeat key(const std::string& text) const {
        for (const KeyHeat& key : hot.keys())
            if (key.text == text) return key;
        return {};
    }
    std::map<std::string, PrefixHeat> prefixes() const {
        std::map<std::string, PrefixHeat> named;
        for (const PrefixHeat& prefix : hot.prefixes())
            named[prefix.kind == PrefixHeat::Kind::named    ? prefix.text
                  : prefix.kind == PrefixHeat::Kind::plain  ? "(plain)"
                  : prefix.kind == PrefixHeat::Kind::absent ? "(absent)"
                                                            : "(other)"] = prefix;
        return named;
    }

    ScopedCache scoped;
    HotKeys hot;
};

/// Large enough for a table of several slices.
Options large_table() {
    Options options;
    options.tracked_keys = 20 * HotKeys::kSlice;
    options.expected_entries = 4'000;
    return options;
}

}  // namespace

TEST_CASE("A key's rates are those since the look before", "[top]") {
    Scene scene;
    scene.scoped.cache.put("a:1", "four");
    scene.ask("a:1", 30);
    scene.ask("a:2", 10);
    scene.look_after(2s);
    CHECK(scene.key("a:1").hits == 15);
    CHECK(scene.key("a:1").misses == 0);
    CHECK(scene.key("a:1").value_bytes == 4);
    CHECK(scene.key("a:1").state == shm::EntryState::live);
    scene.ask("a:1", 4);
    scene.look_after(1s);
    CHECK(scene.key("a:1").hits == 4);
    scene.look_after(1s);
    CHECK(scene.key("a:1").hits == 0);
}

TEST_CASE("What was counted before the first look is no rate", "[top]") {
    ScopedCache scoped;
    scoped.cache.put("a:1", "v");
    for (int n = 0; n < 50; ++n) scoped.cache.get("a:1");
    HotKeys hot(scoped.view());
    hot.look(scoped.clock->now_ns());
    REQUIRE(hot.keys().size() == 1);
    CHECK(hot.keys().front().hits == 0);
    CHECK(hot.prefixes().empty());
}

TEST_CASE("A key that goes keeps its name, and counts misses", "[top]") {
    Scene scene;
    scene.scoped.cache.put("a:1", "v");
    scene.ask("a:1", 1);
    scene.look_after(1s);
    scene.scoped.cache.invalidate("a:1");
    scene.scoped.cache.erase("a:1");
    scene.ask("a:1", 5);
    scene.look_after(1s);
    CHECK(scene.key("a:1").misses == 5);
}

TEST_CASE("Prefixes are summed, and what has none or is not there has a line of its own", "[top]") {
    Scene scene;
    for (const char* const key : {"a:1", "a:2", "b:1:x", "plain", ":"}) scene.scoped.cache.put(key, "v");
    scene.ask("a:1", 2);
    scene.ask("a:2", 4);
    scene.ask("b:1:x", 1);
    scene.ask("plain", 3);
    scene.ask(":", 8);
    scene.store_and_erase("gone:1");
    scene.ask("gone:1", 5);
    scene.look_after(1s);
    const auto prefixes = scene.prefixes();
    CHECK(prefixes.at("a").hits == 6);
    CHECK(prefixes.at("a").keys == 2);
    CHECK(prefixes.at("b").hits == 1);
    CHECK(prefixes.at("(plain)").hits == 3);
    CHECK(prefixes.at("").hits == 8);
    CHECK(prefixes.at("(absent)").misses == 5);
    CHECK(prefixes.size() == 5);
}

TEST_CASE("The hottest are followed, and of the others those with most misses", "[top]") {
    Options options;
    options.expected_entries = 2'000;
    options.tracked_keys = 4'096;
    Scene scene(options);
    for (int n = 0; n < 1'000; ++n) {
        const std::string key = "k:" + std::to_string(n);
        scene.scoped.cache.put(key, "v");
        scene.ask(key, 2 + n / 100);
    }
    scene.store_and_erase("gone:1");
    scene.ask("gone:1", 1);
    scene.look_after(1s);
    CHECK(scene.hot.keys().size() == HotKeys::kFollowed);
    CHECK(scene.key("k:999").hits == 11);
    CHECK(scene.key("k:0").text.empty());
    bool sees_the_miss = false;
    for (const KeyHeat& key : scene.hot.keys()) sees_the_miss |= key.misses == 1;
    CHECK(sees_the_miss);
}

TEST_CASE("Only keys that begin so are followed, cold ones too", "[top]") {
    Options options;
    options.expected_entries = 2'000;
    options.tracked_keys = 4'096;
    Scene scene(options);
    for (int n = 0; n < 600; ++n) {
        scene.scoped.cache.put("hot:" + std::to_string(n), "v");
        scene.ask("hot:" + std::to_string(n), 5);
    }
    scene.scoped.cache.put("cold:1", "v");
    scene.ask("cold:1", 1);
    scene.look_after(1s);
    CHECK(scene.key("cold:1").text.empty());
    scene.hot.follow_only("cold:");
    CHECK(scene.hot.keys().empty());
    scene.ask("cold:1", 1);
    scene.look_after(1s);
    REQUIRE(scene.hot.keys().size() == 1);
    CHECK(scene.key("cold:1").hits == 1);
    scene.hot.follow_only("");
    scene.ask("hot:1", 3);
    scene.look_after(1s);
    CHECK(scene.key("hot:1").hits == 3);
}

TEST_CASE("A table of many slices is walked in as many looks", "[top]") {
    Scene scene(large_table());
    CHECK(scene.hot.looks_of_a_walk() == 20);
    for (int n = 0; n < 2'000; ++n) scene.scoped.cache.put("k:" + std::to_string(n), "v");
    // The first look went through eight of them; with the rest they are all known, and once more they all have rates.
    for (int looks = 0; looks < 12; ++looks) scene.look_after(1s);
    for (int n = 0; n < 2'000; ++n) scene.ask("k:" + std::to_string(n), 40);
    scene.look_after(1s);
    const double part = scene.prefixes().at("k").hits;
    CHECK(part > 0);
    CHECK(scene.prefixes().at("k").keys < 200);  // one slice of twenty
    for (int looks = 0; looks < 19; ++looks) scene.look_after(1s);
    CHECK(scene.prefixes().at("k").keys == 2'000);
}

TEST_CASE("A cache that tracks no keys has none to show", "[top]") {
    ScopedCache scoped;
    shm::Geometry geometry = *scoped.view().geometry;
    geometry.tracked_keys = 0;
    shm::SegmentView view = scoped.view();
    view.geometry = &geometry;
    HotKeys hot(view);
    hot.look(scoped.clock->now_ns());
    CHECK(hot.looks_of_a_walk() == 0);
    CHECK(hot.keys().empty());
    CHECK(hot.prefixes().empty());
}

TEST_CASE("An entry of the table that another key was given counts for that one from then on", "[top]") {
    Options options;
    options.tracked_keys = 16;
    Scene scene(options);
    for (int n = 0; n < 100; ++n) {
        scene.scoped.cache.put("old:" + std::to_string(n), "v", {.ttl = 1h});
        scene.ask("old:" + std::to_string(n), 50);
    }
    scene.look_after(1s);
    CHECK(scene.prefixes().count("old") == 1);
    scene.scoped.clock->advance(49h);
    for (int n = 0; n < 100; ++n) scene.scoped.cache.put("new:" + std::to_string(n), "v");
    scene.look_after(1s);
    for (int n = 0; n < 100; ++n) scene.ask("new:" + std::to_string(n), 2);
    scene.look_after(1s);
    const auto prefixes = scene.prefixes();
    CHECK(prefixes.count("old") == 0);
    REQUIRE(prefixes.count("new") == 1);
    CHECK(prefixes.at("new").hits == 2.0 * static_cast<double>(prefixes.at("new").keys));
    for (const KeyHeat& key : scene.hot.keys()) CHECK(key.lookups() <= 2);
}
