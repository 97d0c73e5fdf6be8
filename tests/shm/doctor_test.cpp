// The doctor's look at directories, control data and traffic: each finding, and what is not one.
#include "shm/doctor.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "shm/directory.hpp"
#include "shm/key_table.hpp"
#include "shm/record.hpp"
#include "shm/shortage.hpp"
#include "tests/support/examined_cache.hpp"

using namespace larder;
using namespace std::chrono_literals;
using shm::Finding;
using shm::Severity;
using shm::Shortage;
using test::ExaminedCache;

namespace {

Options with_shards(std::uint32_t shards) {
    Options options;
    options.shards = shards;
    return options;
}

void fill(ExaminedCache& examined, int entries) {
    for (int i = 0; i < entries; ++i)
        REQUIRE(examined.scoped.cache.put("key:" + std::to_string(i), "v") == PutResult::stored);
}

/// Calls with each record of shard 0 until it says false.
template <class Damage>
void for_each_record(const ExaminedCache& examined, Damage damage) {
    for (std::uint32_t slot = 0; slot < examined.view.geometry->directory_slots; ++slot)
        if (const std::uint64_t word = examined.view.directory(0)[slot].load(); word != 0)
            if (!damage(*examined.view.at<shm::Record>(shm::slot_units(word) * shm::kUnitBytes))) return;
}

}  // namespace

TEST_CASE("A healthy cache has no findings, and nothing is looked at twice", "[doctor]") {
    ExaminedCache examined(with_shards(4));
    fill(examined, 100);
    for (const Finding& finding : examined.examine(true)) FAIL(finding.name << ": " << finding.what);
    CHECK(examined.waited_ns == 0);
    CHECK(shm::name_of(Severity::info) == "info");
}

TEST_CASE("Of many damaged records of a shard three are named and all are counted", "[doctor]") {
    ExaminedCache examined;
    fill(examined, 20);
    int damaged = 0;
    const int wanted = GENERATE(1, 3, 5);
    for_each_record(examined, [&](shm::Record& record) {
        record.key_bytes = 0;
        return ++damaged < wanted;
    });
    const std::string what = examined.finding("record_damaged").value().what;
    INFO(what);
    CHECK_THAT(what, Catch::Contains(": " + std::to_string(wanted) + " (slot "));
    std::size_t named = 0;
    for (std::size_t at = what.find("slot "); at != std::string::npos; at = what.find("slot ", at + 1)) ++named;
    CHECK(named == static_cast<std::size_t>(std::min(wanted, 3)));
    CHECK((what.find(", ...)") != std::string::npos) == (wanted > 3));
}

TEST_CASE("However much is wrong, second looks together take no more than their time", "[doctor]") {
    ExaminedCache examined(with_shards(8));
    for (std::uint32_t shard = 0; shard < 8; ++shard) examined.view.shard(shard).entries += 1;
    std::size_t off = 0;
    for (const Finding& finding : examined.examine()) off += finding.name == "gauge_mismatch" ? 1 : 0;
    CHECK(off == 8);
    CHECK(examined.waited_ns <= 500'000'000);
}

TEST_CASE("A shard that uses another's arena is found", "[doctor]") {
    ExaminedCache examined(with_shards(2));
    examined.view.shard(0).arena = examined.view.shard(1).arena.load();
    CHECK_THAT(examined.finding("arena_owner").value().what, Catch::Contains("Shard 0 "));
}

TEST_CASE("A gap that a writer was just closing is none", "[doctor]") {
    ExaminedCache examined;
    fill(examined, 50);
    shm::Word64* const slots = examined.view.directory(0);
    const std::uint32_t mask = examined.view.geometry->directory_slots - 1;
    std::uint32_t from = 0;
    while (slots[from].load() == 0) ++from;
    std::uint32_t to = (from + 1) & mask;
    while (slots[to].load() != 0 || slots[(to - 1) & mask].load() != 0) to = (to + 1) & mask;
    const auto move = [slots](std::uint32_t source, std::uint32_t target) {
        slots[target] = slots[source].exchange(0);
    };
    move(from, to);
    CHECK(examined.finds("entry_unreachable"));
    examined.between_looks = [&] {
        if (slots[to].load() != 0) move(to, from);
    };
    CHECK_FALSE(examined.finds("entry_unreachable"));
}

TEST_CASE("Control data beyond what a writer leaves there are found, each by its name", "[doctor]") {
    ExaminedCache examined(with_shards(2));
    fill(examined, 20);
    const shm::SegmentView& view = examined.view;
    const auto is_found = [&examined](auto& field, auto wrong, const std::string& name) {
        CAPTURE(name, wrong);
        const auto right = static_cast<decltype(wrong)>(field);
        field = wrong;
        CHECK(examined.finds(name));
        field = right;
        CHECK_FALSE(examined.finds(name));
    };
    const std::int64_t far_ns = examined.scoped.clock->now_ns() + 3'600'000'000'000;
    is_found(view.header().tend_due_ns, far_ns, "never_tended");
    is_found(view.header().registry_high, shm::kProcesses + 1, "registry_damaged");
    is_found(view.header().identity_claimed, 3U, "identity_damaged");
    is_found(view.header().created_ns, far_ns, "created_later");

    shm::ProcessSlot& process = view.process(0);
    is_found(process.pid, 0U, "registry_damaged");
    is_found(process.incarnation, std::uint64_t{0}, "registry_damaged");
    is_found(process.blocks_high, shm::kThreadBlocks + 1, "registry_damaged");
    is_found(view.threads(0)[3].inside, 2U + 1U, "pins_damaged");  // 1 + shard, of two
    is_found(view.threads(0)[3].cells[1], std::uint64_t{1} << 32, "pins_damaged");

    is_found(view.leases(3).mutex.__data.__kind, 77, "lock_damaged");
    shm::LeaseSlot& lease = view.leases(3).slots[2];
    lease.holder = shm::kProcesses;
    is_found(lease.state, static_cast<std::uint32_t>(shm::LeaseState::held), "lease_damaged");
    lease.holder = 0;

    is_found(view.shard(1).payload_bytes, view.geometry->arena_bytes + 1, "shard_damaged");
    is_found(view.shard(1).arena_used_bytes, view.geometry->arena_bytes + 1, "shard_damaged");
    is_found(view.arena_state(0).word, shm::arena_state(shm::ArenaKind::spare, 2, 0), "arena_state");

    const shm::KeyTable table(view);
    std::uint32_t used = 0;
    while (view.key_entry(used).key_hash.load() == 0) ++used;
    is_found(view.key_entry(used).fate, 5U, "keys_damaged");
}

TEST_CASE("Evictions long before the TTL are a warning, if they are many and anything is there", "[doctor]") {
    Options options;
    options.max_entries = 100;
    ExaminedCache examined(options);
    const auto put = [&](int from, int to, std::chrono::milliseconds ttl) {
        for (int i = from; i < to; ++i) {
            examined.scoped.cache.put("key:" + std::to_string(i), "v", {.ttl = ttl});
            examined.scoped.clock->advance(10ms);
        }
    };
    put(0, 1'000, 600s);
    CHECK_FALSE(examined.finds("evicted_young"));  // not yet 1,000 of them
    put(1'000, 1'200, 600s);
    const std::optional<Finding> young = examined.finding("evicted_young");
    REQUIRE(young);
    CHECK(young->severity == Severity::warning);
    CHECK_THAT(young->what, Catch::Contains("under a TTL of 600.0 s: the cache is full by number of entries, with "));
    CHECK_THAT(young->remedy, Catch::Contains("make it anew with more --max-entries; "));
    put(1'200, 1'400, 1'500ms);  // they get two thirds of their TTL
    CHECK_FALSE(examined.finds("evicted_young"));
    examined.scoped.cache.invalidate_all();
    CHECK_FALSE(examined.finds("evicted_young"));
}

TEST_CASE("What a cache that evicts has run out of is told by what it holds", "[doctor]") {
    Options options;
    options.size_bytes = 16ULL << 20;
    options.expected_entries = 1'000;
    options.shards = 1;
    test::ScopedCache scoped(options);
    const auto shortage = [&](std::size_t value_bytes) {
        const std::string value(value_bytes, 'v');
        for (int i = 0; i < 3'000; ++i) scoped.cache.put("key:" + std::to_string(i), value);
        return shortage_of(*scoped.view().geometry, read_gauges(scoped.view()));
    };
    CHECK(shortage(10) == Shortage::places);
    CHECK(shortage(50'000) == Shortage::memory);
}

TEST_CASE("Lookups of keys without counters of their own are a warning once they are many", "[doctor]") {
    Options options;
    options.tracked_keys = 16;
    ExaminedCache examined(options);
    const auto ask = [&](int from, int to) {
        for (int i = from; i < to; ++i) examined.scoped.cache.get("absent:" + std::to_string(i));
    };
    ask(0, 500);
    REQUIRE(examined.scoped.count(shm::Counter::untracked_lookups) > 5);
    CHECK_FALSE(examined.finds("untracked_lookups"));
    ask(500, 1'500);
    CHECK(examined.finds("untracked_lookups"));
}

TEST_CASE("Misses for invalidation are a warning once they are most of many lookups", "[doctor]") {
    ExaminedCache examined;
    Cache& cache = examined.scoped.cache;
    const auto change = [&cache](int times) {
        for (int i = 0; i < times; ++i) {
            cache.put("k", "v");
            cache.invalidate("k");
            CHECK_FALSE(cache.get("k"));
        }
    };
    change(900);
    CHECK_FALSE(examined.finds("invalidated_often"));
    change(200);
    CHECK(examined.finds("invalidated_often"));
}

TEST_CASE("Many notices that name namespaces are a warning for a minute", "[doctor]") {
    ExaminedCache examined;
    for (int i = 0; i < 20; ++i) examined.scoped.cache.invalidate("key");
    CHECK_FALSE(examined.finds("invalidation_storm"));
    for (int i = 0; i < 20; ++i) examined.scoped.cache.invalidate_namespace("ns");
    CHECK(examined.finds("invalidation_storm"));
    examined.scoped.clock->advance(61s);
    CHECK_FALSE(examined.finds("invalidation_storm"));
}
