// What a look at entries must bear: damage, colliding keys, full probes, slots left half shifted.
#include "shm/entry_cursor.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "shm/directory.hpp"
#include "shm/doctor.hpp"
#include "shm/record.hpp"
#include "shm/testing.hpp"
#include "tests/support/examined_cache.hpp"

using namespace larder;
using namespace std::chrono_literals;
using shm::EntryState;
using shm::SlotFinding;
using test::ExaminedCache;

namespace {

std::optional<shm::Entry> find(const ExaminedCache& examined, const std::string& key) {
    return shm::find_entry(examined.scoped.view(), key, true, examined.scoped.clock->now_ns());
}

std::uint32_t mask_of(const ExaminedCache& examined) { return examined.view.geometry->directory_slots - 1; }

std::uint32_t slot_of(const ExaminedCache& examined, const std::string& key) {
    const std::uint32_t shard = examined.scoped.shard_of(key);
    for (std::uint32_t slot = 0; slot <= mask_of(examined); ++slot)
        if (shm::copy_slot(examined.scoped.view(), shard, slot, false, 0).entry.key == key) return slot;
    FAIL("no entry of " << key);
    return 0;
}

shm::Record& record_of(const ExaminedCache& examined, std::uint64_t word) {
    return *examined.view.at<shm::Record>(shm::slot_units(word) * shm::kUnitBytes);
}

/// Calls `change` after each of the next copies of a record.
void at_each_copy(int copies, const std::function<void()>& change) {
    shm::testing::call_at_crash_point("entry.copied", 1, [copies, change] {
        change();
        if (copies > 1) at_each_copy(copies - 1, change);
    });
}

/// Two keys of one shard whose probes begin at one slot and whose hashes have the same tag.
std::pair<std::string, std::string> colliding_keys(const ExaminedCache& examined) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> seen;
    for (int i = 0; i < 1'000'000; ++i) {
        const std::string key = "key:" + std::to_string(i);
        const std::uint64_t hash = examined.scoped.hash(key);
        const std::uint32_t home = static_cast<std::uint32_t>(hash) & mask_of(examined);
        const auto [at, is_new] = seen.try_emplace({home, shm::tag_of(hash)}, key);
        if (!is_new) return {at->second, key};
    }
    FAIL("no two keys collide");
    return {};
}

}  // namespace

TEST_CASE("An entry that is backed by a source is dead from the source's deadline on", "[inspector]") {
    ExaminedCache examined;
    examined.scoped.cache.put("k", "v");
    examined.scoped.cache.put("other", "v");
    const std::int64_t now_ns = examined.scoped.clock->now_ns();
    const std::uint64_t word = examined.view.directory(0)[slot_of(examined, "k")].load();
    record_of(examined, word).flags |= shm::kBacked;
    CHECK(find(examined, "k").value().state == EntryState::live);
    examined.view.header().fresh_for_ns = 1'000;
    examined.view.header().last_sync_ns = now_ns - 999;
    CHECK(find(examined, "k").value().state == EntryState::live);
    examined.view.header().last_sync_ns = now_ns - 1'000;
    CHECK(find(examined, "k").value().state == EntryState::expired);
    CHECK(find(examined, "other").value().state == EntryState::live);
}

TEST_CASE("A record that does not belong to its slot is damage", "[inspector]") {
    Options options;
    options.shards = 2;
    ExaminedCache examined(options);
    const std::string key = examined.scoped.key_in(0, 0);
    examined.scoped.cache.put(key, "v");
    const std::uint32_t slot = slot_of(examined, key);
    shm::Word64& word = examined.view.directory(0)[slot];
    const auto finding = [&](std::uint32_t shard) {
        return shm::copy_slot(examined.scoped.view(), shard, slot, true, 0).finding;
    };
    CHECK(finding(0) == SlotFinding::entry);
    examined.view.directory(1)[slot] = word.load();  // of another shard
    CHECK(finding(1) == SlotFinding::damaged);
    word ^= std::uint64_t{1} << 20;  // another tag
    CHECK(finding(0) == SlotFinding::damaged);
    CHECK_FALSE(find(examined, key).has_value());
}

TEST_CASE("Two keys that begin at one slot with one tag are told apart", "[inspector]") {
    ExaminedCache examined;
    const auto [first, second] = colliding_keys(examined);
    examined.scoped.cache.put(first, "1");
    CHECK_FALSE(find(examined, second).has_value());
    examined.scoped.cache.put(second, "2");
    CHECK(find(examined, first).value().value == "1");
    CHECK(find(examined, second).value().value == "2");
}

TEST_CASE("A search ends where a probe must, and when slots are being shifted at each try", "[inspector]") {
    ExaminedCache examined;
    examined.scoped.cache.put("k", "v");
    shm::Word64& moves = examined.view.shard(0).moves;
    moves += 1;  // a writer died at it
    CHECK(find(examined, "k").value().value == "v");
    CHECK_FALSE(find(examined, "absent").has_value());
    moves += 1;
    const std::uint64_t hash = examined.scoped.hash("absent");
    const std::uint64_t strange = shm::slot_word(1, shm::tag_of(hash) ^ 1, 1);
    for (std::uint32_t slot = 0; slot <= mask_of(examined); ++slot) {
        std::uint64_t empty = 0;
        examined.view.directory(0)[slot].compare_exchange_strong(empty, strange);
    }
    CHECK_FALSE(find(examined, "absent").has_value());
}

TEST_CASE("Asked for checksums the cursor leaves damaged values out, and brings no values unasked", "[inspector]") {
    ExaminedCache examined;
    examined.scoped.cache.put("sound", "value");
    examined.scoped.cache.put("damaged", "value");
    shm::Record& record = record_of(examined, examined.view.directory(0)[slot_of(examined, "damaged")].load());
    reinterpret_cast<char*>(&record)[record.value_at] ^= 1;
    const auto page = [&examined](bool values, bool checksums) {
        shm::EntryCursor cursor(examined.scoped.view(), {"", values, false, checksums});
        return cursor.next(10, examined.scoped.clock->now_ns());
    };
    CHECK(page(false, false).size() == 2);
    const auto checked = page(false, true);
    REQUIRE(checked.size() == 1);
    CHECK(checked.front().key == "sound");
    CHECK(checked.front().value.empty());
    CHECK(page(true, true).front().value == "value");
}

TEST_CASE("What changes while it is copied is copied again, and is told as changing in the end", "[inspector]") {
    ExaminedCache examined;
    examined.scoped.cache.put("k", "v");
    const std::uint32_t slot = slot_of(examined, "k");
    shm::Word64& word = examined.view.directory(0)[slot];
    shm::Word64& id = *examined.view.at<shm::Word64>(shm::slot_units(word.load()) * shm::kUnitBytes);
    shm::Word64& changed = GENERATE(true, false) ? word : id;  // of the word: its count of publications
    const auto look = [&] { return shm::copy_slot(examined.scoped.view(), 0, slot, true, 0).finding; };
    const auto change = [&changed] { changed ^= 1; };
    at_each_copy(2, change);
    CHECK(look() == SlotFinding::entry);
    at_each_copy(4, change);
    CHECK(look() == SlotFinding::changing);
    CHECK(look() == SlotFinding::entry);
    at_each_copy(4, change);
    CHECK_FALSE(examined.finds("record_damaged"));
    record_of(examined, word.load()).key_bytes = 0;  // damage is believed once it stays
    at_each_copy(4, change);
    CHECK_FALSE(examined.finds("record_damaged"));
    CHECK(examined.finds("record_damaged"));
    shm::testing::disarm_crash();
}

TEST_CASE("A search that slots were shifted under is made again", "[inspector]") {
    ExaminedCache examined;
    const auto [first, second] = colliding_keys(examined);
    examined.scoped.cache.put(first, "1");
    int searches = 0;
    at_each_copy(2, [&] {
        examined.view.shard(0).moves += 2;
        ++searches;
    });
    CHECK_FALSE(find(examined, second).has_value());
    CHECK(searches == 2);
    shm::testing::disarm_crash();
}
