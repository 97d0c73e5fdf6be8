// The inspector and the entry cursor: what they say is so, and looking changes nothing and waits for nobody.
#include "shm/inspector.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "shm/directory.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder;
using namespace std::chrono_literals;
using shm::Entry;
using shm::EntryCursor;
using shm::EntryState;
using shm::SlotFinding;
using test::Channel;
using test::ChildProcess;
using test::ScopedCache;

namespace {

std::vector<Entry> all_entries(const ScopedCache& scoped, const shm::EntryFilter& filter, std::size_t page) {
    std::vector<Entry> entries;
    EntryCursor cursor(scoped.view(), filter);
    for (;;) {
        const std::vector<Entry> more = cursor.next(page, scoped.clock->now_ns());
        CHECK(more.size() <= page);
        if (more.empty()) return entries;
        entries.insert(entries.end(), more.begin(), more.end());
    }
}

std::optional<Entry> find(const ScopedCache& scoped, const std::string& key) {
    return shm::find_entry(scoped.view(), key, true, scoped.clock->now_ns());
}

EntryState state_of(const ScopedCache& scoped, const std::string& key) { return find(scoped, key).value().state; }

std::uint32_t slot_of(const ScopedCache& scoped, const std::string& key) {
    const std::uint32_t shard = scoped.shard_of(key);
    for (std::uint32_t slot = 0;; ++slot)
        if (shm::copy_slot(scoped.view(), shard, slot, false, 0).entry.key == key) return slot;
}

}  // namespace

TEST_CASE("an entry is copied with its key, value, tags and times", "[inspector][tsan]") {
    ScopedCache scoped;
    scoped.cache.put("ns:k", std::string("a\0b", 3), {.ttl = 60s, .soft_ttl = 20s, .tags = {"one", "two"}});
    const Entry entry = find(scoped, "ns:k").value();
    CHECK(entry.key == "ns:k");
    CHECK(entry.value == std::string("a\0b", 3));
    CHECK(entry.value_bytes == 3);
    CHECK(entry.tags == std::vector<std::string>{"one", "two"});
    CHECK(entry.created_ns == scoped.clock->now_ns());
    CHECK(entry.expires_ns - entry.created_ns == 60'000'000'000);
    CHECK(entry.soft_expires_ns - entry.created_ns == 20'000'000'000);
    CHECK(entry.state == EntryState::live);
    CHECK_FALSE(find(scoped, "ns:other").has_value());
    CHECK(shm::find_entry(scoped.view(), "ns:k", false, 0).value().value.empty());
}

TEST_CASE("an entry's state follows its times and its fences", "[inspector][tsan]") {
    ScopedCache scoped;
    Cache& cache = scoped.cache;
    cache.put("soft", "v", {.ttl = 60s, .soft_ttl = 20s, .stale_if_error = 30s});
    cache.put("absent", "", {.ttl = 60s, .negative = true});
    cache.put("ns:key", "v");
    cache.put("ns:tagged", "v", {.tags = {"t"}});
    cache.put("ns:spaced", "v");
    cache.put("other", "v");
    CHECK(state_of(scoped, "soft") == EntryState::live);
    CHECK(state_of(scoped, "absent") == EntryState::negative);
    scoped.clock->advance(20s);
    CHECK(state_of(scoped, "soft") == EntryState::stale);
    scoped.clock->advance(40s);
    CHECK(state_of(scoped, "soft") == EntryState::stale);  // within stale_if_error
    CHECK(state_of(scoped, "absent") == EntryState::expired);
    scoped.clock->advance(30s);
    CHECK(state_of(scoped, "soft") == EntryState::expired);
    cache.invalidate("ns:key");
    CHECK(state_of(scoped, "ns:key") == EntryState::invalidated);
    CHECK(state_of(scoped, "ns:tagged") == EntryState::live);
    cache.invalidate_tag("t");
    CHECK(state_of(scoped, "ns:tagged") == EntryState::invalidated);
    CHECK(state_of(scoped, "ns:spaced") == EntryState::live);
    cache.invalidate_namespace("ns");
    CHECK(state_of(scoped, "ns:spaced") == EntryState::invalidated);
    CHECK(state_of(scoped, "other") == EntryState::live);
    cache.invalidate_all();
    CHECK(state_of(scoped, "other") == EntryState::invalidated);
}

TEST_CASE("the cursor brings every entry once, whatever the page", "[inspector][tsan]") {
    Options options;
    options.shards = 4;
    ScopedCache scoped(options);
    std::set<std::string> keys;
    for (int i = 0; i < 200; ++i) keys.insert("key:" + std::to_string(i));
    for (const std::string& key : keys) REQUIRE(scoped.cache.put(key, "v") == PutResult::stored);
    for (const std::size_t page : {1U, 7U, 200U, 1'000U}) {
        INFO("page of " << page);
        std::multiset<std::string> found;
        for (const Entry& entry : all_entries(scoped, {}, page)) found.insert(entry.key);
        CHECK(found == std::multiset<std::string>(keys.begin(), keys.end()));
    }
    CHECK(all_entries(scoped, {"key:19", false, false}, 3).size() == 11);
    CHECK(all_entries(scoped, {"nothing", false, false}, 3).empty());
}

TEST_CASE("the cursor leaves dead entries out unless asked", "[inspector][tsan]") {
    ScopedCache scoped;
    scoped.cache.put("short", "v", {.ttl = 1s});
    scoped.cache.put("gone", "v");
    scoped.cache.put("here", "v");
    scoped.cache.invalidate("gone");
    scoped.clock->advance(1s);
    const auto alive = all_entries(scoped, {}, 10);
    REQUIRE(alive.size() == 1);
    CHECK(alive.front().key == "here");
    CHECK(all_entries(scoped, {"", false, true}, 10).size() == 3);
}

TEST_CASE("a page of large values ends early, and nothing is lost by it", "[inspector]") {
    ScopedCache scoped({}, 16 << 20);
    const std::string large(700'000, 'v');
    for (int i = 0; i < 5; ++i) REQUIRE(scoped.cache.put("large:" + std::to_string(i), large) == PutResult::stored);
    EntryCursor cursor(scoped.view(), {"", true, false});
    CHECK(cursor.next(100, scoped.clock->now_ns()).size() == 2);
    CHECK(all_entries(scoped, {"", true, false}, 100).size() == 5);
    CHECK(all_entries(scoped, {}, 100).size() == 5);
}

TEST_CASE("looking counts nothing and makes no entry younger", "[inspector][tsan]") {
    ScopedCache scoped;
    scoped.cache.put("k", "v");
    scoped.cache.get("k");
    const auto before = scoped.totals().values;
    const std::int64_t used = find(scoped, "k").value().last_used_ns.value();
    scoped.clock->advance(10s);
    find(scoped, "k");
    find(scoped, "none");
    all_entries(scoped, {"", true, true}, 2);
    CHECK(scoped.totals().values == before);
    CHECK(find(scoped, "k").value().last_used_ns == used);
    scoped.cache.get("k");
    CHECK(find(scoped, "k").value().last_used_ns.value() > used);
}

TEST_CASE("with strict recency no time of last use is known", "[inspector][tsan]") {
    Options options;
    options.recency = Options::Recency::strict;
    ScopedCache scoped(options);
    scoped.cache.put("k", "v");
    CHECK_FALSE(find(scoped, "k").value().last_used_ns.has_value());
}

TEST_CASE("damage is told apart and never followed", "[inspector][tsan]") {
    ScopedCache scoped;
    scoped.cache.put("k", "v");
    const auto segment = shm::Segment::attach(shm::locate(scoped.directory.path(), scoped.options.name, false));
    const shm::SegmentView view = segment->view();
    const std::uint32_t shard = scoped.shard_of("k"), slot = slot_of(scoped, "k");
    shm::Word64& word = view.directory(shard)[slot];
    const auto finding = [&] { return shm::copy_slot(scoped.view(), shard, slot, true, 0).finding; };
    const std::uint64_t right = word.load();
    REQUIRE(finding() == SlotFinding::entry);

    for (const std::uint64_t units :
         {std::uint64_t{1}, view.geometry->arenas_at / 16, view.geometry->segment_bytes / 16 - 1,
          view.geometry->segment_bytes / 16, std::uint64_t{0xFFFFFFFF}}) {
        INFO("offset in units " << units);
        word = units << 32 | (right & 0xFFFFFFFF);
        CHECK(finding() == SlotFinding::outside);
        CHECK_FALSE(find(scoped, "k").has_value());
    }
    word = right;
    shm::Record& record = *view.at<shm::Record>(shm::slot_units(right) * shm::kUnitBytes);
    const auto damaged = [&](auto& field, auto value) {
        const auto before = field;
        field = value;
        CHECK(finding() == SlotFinding::damaged);
        CHECK_FALSE(find(scoped, "k").has_value());
        field = before;
        CHECK(finding() == SlotFinding::entry);
    };
    damaged(record.value_bytes, 0xFFFFFFF0u);
    damaged(record.value_at, 4u);
    damaged(record.key_bytes, std::uint16_t{0});
    damaged(record.key_bytes, std::uint16_t{1025});
    damaged(record.tags, std::uint8_t{17});
    damaged(record.tags_bytes, 0xFFFFFFFFu);
    damaged(record.hash, record.hash + 1);
    word = 0;
    CHECK(finding() == SlotFinding::empty);
    word = right;
}

TEST_CASE("processes, their sections and their pins are seen, also of a stopped one", "[inspector]") {
    ScopedCache scoped;
    scoped.cache.put("k", "v");
    ChildProcess writer = ChildProcess::start([&scoped](Channel& parent) {
        const Pinned pinned = scoped.cache.get("k");
        parent.tell('p');
        parent.hear();
        shm::testing::arm_crash("put.allocated", 1, shm::testing::Death::stop);
        scoped.cache.put("another", "v");
        return 0;
    });
    REQUIRE(writer.hear() == 'p');
    const auto facts_of = [&scoped](pid_t pid) {
        for (const shm::ProcessFacts& facts : shm::read_processes(scoped.view()))
            if (facts.pid == static_cast<std::uint32_t>(pid)) return facts;
        return shm::ProcessFacts{};
    };
    const shm::ProcessFacts reading = facts_of(writer.pid());
    CHECK(reading.alive);
    CHECK(reading.role == "worker");
    CHECK(reading.threads == 1);
    CHECK_FALSE(reading.inside.has_value());
    CHECK(reading.pins == std::vector<std::uint64_t>{find(scoped, "k").value().arena_offset});

    writer.tell('g');
    REQUIRE(writer.wait_for_stop());
    const shm::ProcessFacts writing = facts_of(writer.pid());
    CHECK(writing.inside == 0);
    CHECK(shm::read_shard(scoped.view(), 0).mutating);
    CHECK(find(scoped, "k").value().value == "v");  // no lock is asked for
    CHECK(all_entries(scoped, {}, 10).size() == 1);

    writer.kill(SIGKILL);
    REQUIRE(writer.wait().was_killed_by(SIGKILL));
    CHECK_FALSE(facts_of(writer.pid()).alive);
    CHECK(find(scoped, "k").value().value == "v");
}

TEST_CASE("a lease that is held is seen with its holder", "[inspector][tsan]") {
    ScopedCache scoped;
    CHECK(shm::read_leases(scoped.view()).empty());
    Begun begun = scoped.cache.begin("k");
    REQUIRE(std::holds_alternative<Lease>(begun));
    const auto leases = shm::read_leases(scoped.view());
    REQUIRE(leases.size() == 1);
    CHECK(leases.front().state == shm::LeaseState::held);
    CHECK(leases.front().key_hash == scoped.hash("k"));
    CHECK(leases.front().holder == shm::read_processes(scoped.view()).front().slot);
    scoped.cache.fill(std::move(std::get<Lease>(begun)), "v");
    CHECK(shm::read_leases(scoped.view()).front().state == shm::LeaseState::stored);
}

TEST_CASE("the last notices are kept in their order, with what they named", "[inspector][tsan]") {
    ScopedCache scoped;
    scoped.cache.invalidate("a key");
    scoped.cache.invalidate_tag(std::string(100, 't'));
    scoped.cache.invalidate_namespace("ns");
    scoped.cache.invalidate_all();
    const auto notices = shm::read_notices(scoped.view());
    REQUIRE(notices.size() == 4);
    CHECK(notices[0].text == "a key");
    CHECK(notices[0].kind == shm::FenceKind::key);
    CHECK(notices[1].text == std::string(64, 't'));
    CHECK(notices[1].cut);
    CHECK(notices[2].kind == shm::FenceKind::name_space);
    CHECK(notices[3].kind == shm::FenceKind::everything);
    CHECK(notices[3].number == notices[0].number + 3);
    std::string kinds;
    for (const shm::NoticeFacts& notice : notices) kinds += std::string(shm::name_of(notice.kind)) + ' ';
    CHECK(kinds == "key tag namespace everything ");
    for (int i = 0; i < 1'000; ++i) scoped.cache.invalidate("k");
    CHECK(shm::read_notices(scoped.view()).size() == shm::kNotices);
}

TEST_CASE("gauges add up over the shards", "[inspector][tsan]") {
    Options options;
    options.shards = 4;
    ScopedCache scoped(options);
    for (int i = 0; i < 40; ++i) scoped.cache.put("key:" + std::to_string(100 + i), "12345");
    const shm::Gauges gauges = shm::read_gauges(scoped.view());
    CHECK(gauges.entries == 40);
    CHECK(gauges.payload_bytes == 40 * 12);
    CHECK(gauges.arena_used_bytes > 40 * 12);
    CHECK(gauges.arena_used_bytes < gauges.arena_bytes);
    CHECK(shm::read_arenas(scoped.view()).size() == scoped.view().geometry->arenas);
    CHECK(shm::read_label(scoped.view(), 0).name == "hits");
    CHECK(shm::read_label(scoped.view(), shm::kThreadCounters).name.empty());
}
