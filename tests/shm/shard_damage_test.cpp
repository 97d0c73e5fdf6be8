// Shards whose directory, lists or arenas were damaged or are short: writers follow nothing, and go on.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "shm/lookup.hpp"
#include "shm/mapping.hpp"
#include "shm/record.hpp"
#include "shm/shard.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder::shm;
using namespace larder::test;
using namespace std::chrono_literals;
using larder::Cache;
using larder::EntryOptions;
using larder::Options;
using larder::Pinned;
using larder::PutResult;

namespace {

struct Fixture {
    ScopedCache scoped;
    Cache& cache = scoped.cache;
    Mapping* mapping;
    SegmentView view;
    Shard& shard;

    explicit Fixture(const Options& options = {})
        : scoped(options),
          mapping(Mapping::open(scoped.options, nullptr)),
          view(mapping->view()),
          shard(view.shard(0)) {}
    Word64& slot_of(std::string_view key) const {
        const std::uint32_t mask = view.geometry->directory_slots - 1;
        for (auto index = static_cast<std::uint32_t>(scoped.hash(key)) & mask;; index = (index + 1) & mask)
            if (slot_tag(view.directory(0)[index].load()) == tag_of(scoped.hash(key))) return view.directory(0)[index];
    }
    Record& record_of(std::string_view key) const {
        return *view.at<Record>(slot_units(slot_of(key).load()) * kUnitBytes);
    }
    /// As often as the cursor takes to pass over the whole directory.
    void tend_all() {
        for (std::uint32_t i = 0; i < view.geometry->directory_slots; ++i) cache.tend();
    }
    bool die_at(const std::string& key, const char* point) {
        ChildProcess victim = ChildProcess::start([&](Channel&) {
            testing::arm_crash(point);
            cache.put(key, "value");
            return 0;
        });
        return victim.wait().was_killed_by(SIGKILL);
    }
};

Options few_keys() {
    Options options;
    options.tracked_keys = kKeyWindow;
    return options;
}

EntryOptions for_days() {
    EntryOptions options;
    options.ttl = 100h;
    return options;
}

std::string key_of(std::uint32_t i) { return "key:" + std::to_string(i); }

}  // namespace

TEST_CASE("Words that name no record are passed over by writers", "[shard]") {
    Fixture f;
    for (const char* key : {"key", "damaged"}) REQUIRE(f.cache.put(key, "value") == PutResult::stored);
    const std::uint64_t last = f.view.geometry->segment_bytes / kUnitBytes - 2;
    const std::uint64_t damaged = slot_units(f.slot_of("damaged").load());
    f.record_of("damaged").key_bytes = 0xFFFF;
    for (const std::uint64_t units : {std::uint64_t{1}, last, damaged}) {
        Word64* slot = &f.slot_of("key");
        for (int i = 0; i < 3; ++i)
            if (++slot < f.view.directory(0) + f.view.geometry->directory_slots) slot->store(slot_word(units, 5, 7));
        CHECK(f.cache.erase("key"));
        CHECK_FALSE(f.cache.get("key"));
        REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    }
    f.tend_all();
    CHECK(f.cache.get("key").value() == "value");
}

TEST_CASE("A word that names a record of no entry is not taken for one", "[shard]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    const Pinned held = f.cache.get("key");
    Word64& slot = f.slot_of("key");
    const std::uint64_t word = slot.load();
    REQUIRE(f.cache.erase("key"));
    slot.store(word);
    f.scoped.clock->advance(10s);
    f.tend_all();
    CHECK_FALSE(f.cache.get("key"));
    CHECK(f.scoped.entries() == 0);
    CHECK(held.value() == "value");
}

TEST_CASE("An entry whose slot was lost is gone until its time is over, and no longer", "[shard]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    f.slot_of("key").store(0);
    CHECK_FALSE(f.cache.get("key"));
    CHECK(f.cache.put("key", "new") == PutResult::no_space);
    CHECK_FALSE(f.cache.get("key"));
    f.scoped.clock->advance(301s);
    CHECK(f.cache.put("key", "new") == PutResult::stored);
    CHECK(f.cache.get("key").value() == "new");
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("Tags of damaged lengths are read as far as they go", "[shard]") {
    Fixture f;
    EntryOptions options;
    options.tags = {"a", "b"};
    REQUIRE(f.cache.put("key", "value", options) == PutResult::stored);
    Record& record = f.record_of("key");
    char* const tags = reinterpret_cast<char*>(&record) + shape_of(record).tags_at();
    tags[0] = GENERATE('\4', '\x7F');  // all that there is, or more
    CHECK(f.cache.touch("key", 10s));
    CHECK(f.cache.get("key").value() == "value");
}

TEST_CASE("A key's entry is given to another when no record names it any more", "[shard]") {
    Fixture f(few_keys());
    for (std::uint32_t i = 0; i < kKeyWindow; ++i) {
        REQUIRE(f.cache.put(key_of(i), "value", for_days()) == PutResult::stored);
        REQUIRE(f.cache.get(key_of(i)));
    }
    f.scoped.clock->advance(26h);
    const auto is_tracked = [&](const char* key) {
        REQUIRE(f.cache.put(key, "value", for_days()) == PutResult::stored);
        return f.cache.key_use(key).tracked;
    };
    CHECK_FALSE(is_tracked("while all are there"));
    {
        const Pinned held = f.cache.peek(key_of(3)), other = f.cache.peek(key_of(4));
        f.cache.erase(key_of(3));
        f.cache.erase(key_of(4));
        f.cache.tend();
        CHECK(f.shard.retired_count == 2);
        CHECK_FALSE(is_tracked("while they are pinned"));
    }
    f.cache.tend();
    CHECK(is_tracked("one"));
    CHECK(is_tracked("two"));
    CHECK_FALSE(is_tracked("three"));
}

TEST_CASE("While an arena of a shard is condemned none of its keys' entries is given away", "[shard][crash][fork]") {
    Options options = few_keys();
    options.shards = 8;
    options.tracked_keys = 8 * kKeyWindow;
    Fixture f(options);
    for (std::uint32_t i = 0; i < 2 * kKeyWindow; ++i) {
        const std::string key = f.scoped.key_in(i % 2, i / 2);
        REQUIRE(f.cache.put(key, "value") == PutResult::stored);
        REQUIRE(f.cache.get(key));
    }
    Pinned held = f.cache.peek(f.scoped.key_in(0, 0));
    REQUIRE(f.die_at(f.scoped.key_in(0, 0), "put.linking"));
    f.scoped.clock->advance(26h);
    f.tend_all();
    const std::string key = f.scoped.key_in(0, 50), other = f.scoped.key_in(1, 50);
    REQUIRE(f.cache.put(key, "value") == PutResult::stored);
    CHECK_FALSE(f.cache.key_use(key).tracked);
    REQUIRE(f.cache.put(other, "value") == PutResult::stored);
    CHECK(f.cache.key_use(other).tracked);
    held.reset();
    f.cache.tend();
    REQUIRE(f.cache.put(key, "value") == PutResult::stored);
    CHECK(f.cache.key_use(key).tracked);
}

TEST_CASE("A closed shard whose word of a reserved record is damaged opens all the same", "[shard][crash][fork]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    Pinned held = f.cache.get("key");
    REQUIRE(f.die_at("other", "put.linking"));
    REQUIRE(f.cache.put("key", "new") == PutResult::rebuilding);
    f.shard.reserved = 7;
    CHECK(f.cache.put("key", "new") == PutResult::rebuilding);
    CHECK(held.value() == "value");
    held.reset();
    CHECK(f.cache.put("key", "new") == PutResult::stored);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("A half edited shard is rebuilt also where its arena's number is damaged, and by who has no block",
          "[shard]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    Pinned held = f.cache.get("key");
    f.shard.arena = 0xFFFFFFFF;
    f.shard.mutating = 1;
    {
        ShardWriter writer(f.view, f.mapping->registry(), 0, nullptr, f.scoped.clock->now_ns());
        REQUIRE(writer.enter(1s));
        CHECK(writer.rebuilt());
    }
    CHECK_FALSE(f.cache.get("key"));
    CHECK(f.cache.put("key", "new") == PutResult::rebuilding);
    CHECK(held.value() == "value");
    held.reset();
    CHECK(f.cache.put("key", "new") == PutResult::stored);
    CHECK(first_violation(f.view) == "");
}

TEST_CASE("A touch of what is evicted meanwhile revives nothing", "[shard]") {
    const Watchdog watchdog;
    Options options;
    options.max_bytes = 1'000;
    options.lock_budget = 20s;
    Fixture f(options);
    EntryOptions brief;
    brief.ttl = 1s;
    REQUIRE(f.cache.put("key", std::string(300, 'v')) == PutResult::stored);
    REQUIRE(f.cache.put("over", "value", brief) == PutResult::stored);
    f.scoped.clock->advance(2s);
    bool touched = true;
    std::thread other;
    testing::call_at_crash_point("unlink.directory", 1, [&] {  // the writer has the lock, and is to evict "key"
        other = std::thread([&] { touched = f.cache.touch("key", 10s); });
        eventually([] { return false; }, 50ms);
    });
    REQUIRE(f.cache.put("large", std::string(900, 'v')) == PutResult::stored);
    other.join();
    CHECK_FALSE(touched);
    CHECK_FALSE(f.cache.get("key"));
}

TEST_CASE("A lookup under values that change all the time ends as a miss", "[lookup]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    int changes = 0;
    std::function<void()> change = [&] {
        f.cache.put("key", "value " + std::to_string(++changes));
        testing::call_at_crash_point("lookup.loaded", 1, change);
    };
    testing::call_at_crash_point("lookup.loaded", 1, change);
    const Pinned got = f.cache.get("key");
    testing::disarm_crash();
    CHECK_FALSE(got);
    CHECK(changes < 100);
    CHECK(f.scoped.count(Counter::misses_contended) == 1);
    CHECK(f.cache.get("key").value() == "value " + std::to_string(changes));
}

TEST_CASE("Where a writer died in a shift a miss is told apart from an absent key", "[lookup]") {
    Fixture f;
    REQUIRE(f.cache.put("key", "value") == PutResult::stored);
    f.shard.moves += 1;
    CHECK_FALSE(f.cache.get("absent"));
    CHECK(f.scoped.count(Counter::misses_contended) == 1);
    CHECK(f.cache.get("key").value() == "value");
}

TEST_CASE("Another key of the same hash and length is told apart wherever it differs", "[lookup]") {
    Fixture f;
    const std::string key = "a key of 28 bytes, or there.";
    REQUIRE(f.cache.put(key, "value") == PutResult::stored);
    const Lookup lookup(f.view);
    for (std::size_t at = 0; at < key.size(); ++at) {
        std::string other = key;
        other[at] = '?';
        const Look look = lookup.find({f.scoped.hash(key), other}, f.mapping->thread_block(), f.scoped.clock->now_ns());
        CHECK(look.verdict == Verdict::absent);
    }
}
