// Lookups in a segment whose bytes the test damages, moves and replaces on purpose.
#include "shm/lookup.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "shm/counters.hpp"
#include "shm/mapping.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder::shm;
using larder::PutResult;
using larder::test::proven_version;
using larder::test::proving_value;
using larder::test::ScopedCache;

namespace {

/// A cache with one entry, `key`, and the segment as its writers see it.
struct Fixture {
    ScopedCache scoped;
    Mapping* mapping = Mapping::open(scoped.options, nullptr);
    SegmentView view = mapping->view();
    Lookup lookup{view};
    HashedKey key{scoped.hash("key"), "key"};
    const std::string value = proving_value("key", 1, 1'000);

    Fixture() { REQUIRE(scoped.cache.put("key", value) == PutResult::stored); }
    Look find(ThreadBlock* block) { return lookup.find(key, block, scoped.clock->now_ns()); }
    Look find() { return find(mapping->thread_block()); }
    Word64& slot() {
        Word64* slots = view.directory(0);
        std::uint32_t index = static_cast<std::uint32_t>(key.hash) & (view.geometry->directory_slots - 1);
        return slots[index];
    }
    Record& record() { return *view.at<Record>(slot_units(slot().load()) * kUnitBytes); }
};

}  // namespace

TEST_CASE("What is found is pinned until it is released", "[lookup]") {
    Fixture f;
    Look look = f.find();
    REQUIRE(look.verdict == Verdict::live);
    REQUIRE(look.cell != nullptr);
    CHECK(look.copy == nullptr);
    CHECK(look.cell->load() * kUnitBytes ==
          static_cast<std::uint64_t>(reinterpret_cast<std::byte*>(look.record) - f.view.base));
    CHECK(value_of(*look.record) == f.value);
    Word64* const cell = look.cell;
    release(look);
    CHECK(cell->load() == 0);
    CHECK(look.record == nullptr);
}

TEST_CASE("A thread without a block is given a copy", "[lookup]") {
    Fixture f;
    Look look = f.find(nullptr);
    REQUIRE(look.verdict == Verdict::live);
    CHECK(look.cell == nullptr);
    REQUIRE(look.copy != nullptr);
    CHECK(proven_version("key", value_of(*look.record)) == 1);
    release(look);
}

TEST_CASE("Another key with the same hash is not taken for it", "[lookup]") {
    Fixture f;
    for (ThreadBlock* block : {f.mapping->thread_block(), static_cast<ThreadBlock*>(nullptr)}) {
        const Look look = f.lookup.find({f.key.hash, "yek"}, block, f.scoped.clock->now_ns());
        CHECK(look.verdict == Verdict::absent);
        CHECK_FALSE(look.damaged);
        const Look other = f.lookup.find({f.key.hash ^ 1ULL << 38, "key"}, block, f.scoped.clock->now_ns());
        CHECK(other.verdict == Verdict::absent);  // one of the same slot and tag
    }
    for (const Word64& cell : f.mapping->thread_block()->cells) CHECK(cell.load() == 0);
}

TEST_CASE("A miss is not believed while slots are shifted", "[lookup]") {
    Fixture f;
    f.view.shard(0).moves.fetch_add(1);  // a writer stopped in a shift, or died in it
    const HashedKey absent{f.scoped.hash("absent"), "absent"};
    CHECK(f.lookup.find(absent, nullptr, 0).verdict == Verdict::contended);
    CHECK_FALSE(f.scoped.cache.get("absent"));
    CHECK(f.scoped.count(Counter::misses_contended) == 1);
    CHECK(f.scoped.cache.get("key").value() == f.value);  // hits are
    f.view.shard(0).moves.fetch_add(1);
    CHECK(f.lookup.find(absent, nullptr, 0).verdict == Verdict::absent);
}

TEST_CASE("Nothing that a damaged slot or record says leads out of the segment", "[lookup]") {
    Fixture f;
    const std::uint64_t word = f.slot().load();
    const auto damaged_slot = [&](std::uint64_t units) { f.slot().store(slot_word(units, slot_tag(word), 7)); };
    SECTION("an offset before the arenas") { damaged_slot(1); }
    SECTION("an offset behind the segment") { damaged_slot(0xFFFFFFFF); }
    SECTION("an offset at the very end") { damaged_slot(f.view.geometry->segment_bytes / kUnitBytes - 1); }
    SECTION("a key without an end") { f.record().key_bytes = 0xFFFF; }
    SECTION("no key") { f.record().key_bytes = 0; }
    SECTION("a value without an end") { f.record().value_bytes = 0xFFFFFFFF; }
    SECTION("a value elsewhere") { f.record().value_at = 0xFFFFFFF0; }
    SECTION("too many tags") { f.record().tags = 255; }
    for (ThreadBlock* block : {f.mapping->thread_block(), static_cast<ThreadBlock*>(nullptr)}) {
        const Look look = f.find(block);
        CHECK(look.verdict == Verdict::absent);
        CHECK(look.damaged);
        CHECK(look.record == nullptr);
    }
    CHECK_FALSE(f.scoped.cache.get("key"));
    CHECK(f.scoped.count(Counter::damaged_reads) == 1);
}

TEST_CASE("Damaged value bytes are a miss where they are verified", "[lookup]") {
    Fixture f;
    const_cast<char*>(value_of(f.record()).data())[500] ^= 1;
    CHECK(static_cast<bool>(f.scoped.cache.get("key")));
    larder::Options careful = f.scoped.options;
    careful.verify_checksums = true;
    larder::Cache cache = larder::Cache::open(careful);
    CHECK_FALSE(cache.get("key"));
    CHECK(f.scoped.count(Counter::damaged_reads) == 1);
    CHECK(f.scoped.totals().lookups() == 2);
}

TEST_CASE("What is intact is served where values are verified", "[lookup]") {
    Fixture f;
    larder::Options careful = f.scoped.options;
    careful.verify_checksums = true;
    larder::Cache cache = larder::Cache::open(careful);
    CHECK(cache.get("key").value() == f.value);
    CHECK_FALSE(cache.get("absent"));
    REQUIRE(cache.put("stale", "value", {.soft_ttl = std::chrono::seconds(1)}) == PutResult::stored);
    REQUIRE(cache.put("nothing", "", {.negative = true}) == PutResult::stored);
    f.scoped.clock->advance(std::chrono::seconds(2));
    CHECK(cache.get("stale").state() == larder::State::stale);
    CHECK(cache.get("nothing").state() == larder::State::negative);
    CHECK(f.scoped.count(Counter::damaged_reads) == 0);
}

TEST_CASE("An entry that is empty and not negative is a miss where values are verified", "[lookup]") {
    Fixture f;
    REQUIRE(f.scoped.cache.put("key", "", {.negative = true}) == PutResult::stored);
    f.record().flags = 0;
    larder::Options careful = f.scoped.options;
    careful.verify_checksums = true;
    CHECK(larder::Cache::open(careful).get("key").state() == larder::State::none);
}

TEST_CASE("A backed entry is late from the promise's deadline on, others are not", "[lookup]") {
    Fixture f;
    const std::int64_t now = f.scoped.clock->now_ns();
    f.view.header().fresh_for_ns.store(1'000);
    f.view.header().last_sync_ns.store(now - 1'000);
    Look plain = f.find();
    CHECK(plain.verdict == Verdict::live);
    release(plain);
    f.record().flags |= kBacked;
    Look late = f.find();
    CHECK(late.verdict == Verdict::late);
    release(late);
    f.view.header().last_sync_ns.store(now - 999);
    Look fresh = f.find();
    CHECK(fresh.verdict == Verdict::live);
    release(fresh);
    f.record().soft_expires_ns = now;
    Look stale = f.find();
    CHECK(stale.verdict == Verdict::stale);
    release(stale);
}

TEST_CASE("Overtaken goes before expired, expired before stale", "[lookup]") {
    Fixture f;
    Look look = f.lookup.find(f.key, nullptr, f.record().expires_ns - 1);
    CHECK(look.verdict == Verdict::live);
    release(look);
    look = f.lookup.find(f.key, nullptr, f.record().expires_ns);
    CHECK(look.verdict == Verdict::expired);
    release(look);
    f.scoped.cache.invalidate("key");
    look = f.lookup.find(f.key, nullptr, f.record().expires_ns);
    CHECK(look.verdict == Verdict::invalidated);
    release(look);
}
