#include "shm/key_table.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/plain_segment.hpp"

using namespace larder::shm;
using larder::KeyUse;
using larder::test::Channel;
using larder::test::ChildProcess;
using larder::test::PlainSegment;

namespace {

constexpr std::int64_t kHourNs = 3'600'000'000'000;
constexpr std::uint64_t kKey = 0x1234;

std::int64_t start_of(std::uint32_t hour) { return static_cast<std::int64_t>(hour - kHours) * kHourNs; }

// A clock that a test sets, one key, and what has to be found about it.
struct OneKey {
    PlainSegment segment{kKeyWindow};
    KeyTable table{segment.view()};
    std::uint32_t index = table.find_or_add(kKey, 0);
    std::uint32_t hour = 100;
    std::array<Word32, 8> record_hours{};                                    // of one record per participant
    std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> model;  // hour -> hits, misses

    void hit(std::uint32_t participant = 0) {
        REQUIRE(table.count_hit(index, participant, hour, record_hours[participant]));
        ++model[hour].first;
    }
    void miss() {
        REQUIRE(table.count_miss(index, hour));
        ++model[hour].second;
    }
    KeyUse use() const { return table.use(kKey, 0, start_of(hour) + 17); }
    KeyUse expected() const {
        KeyUse sum{0, 0, true};
        for (const auto& [at, counts] : model) {
            if (at + kHours <= hour) continue;
            sum.hits += counts.first;
            sum.misses += counts.second;
        }
        return sum;
    }
};

void check_same(const KeyUse& found, const KeyUse& expected) {
    CHECK(found.hits == expected.hits);
    CHECK(found.misses == expected.misses);
    CHECK(found.tracked == expected.tracked);
}

// A table of one window, full of the keys 1..kKeyWindow with one miss each in hour 100.
struct FullWindow {
    PlainSegment segment{kKeyWindow};
    KeyTable table{segment.view()};
    std::map<std::uint64_t, std::uint32_t> indexes;

    FullWindow() {
        for (std::uint64_t key = 1; key <= kKeyWindow; ++key) {
            indexes[key] = table.find_or_add(key, 0);
            table.count_miss(indexes[key], 100);
        }
    }
    std::uint64_t key_at(std::uint32_t index) const { return segment.view().key_entry(index).key_hash.load(); }
};

bool nobody(std::uint64_t) { return false; }
bool everybody(std::uint64_t) { return true; }

}  // namespace

TEST_CASE("A key has an entry once it was added, and only then", "[key_table]") {
    const PlainSegment segment(4 * kKeyWindow, 2);
    KeyTable table(segment.view());
    CHECK(table.find(kKey, 1) == kUntracked);
    const std::uint32_t index = table.find_or_add(kKey, 1);
    REQUIRE(index != kUntracked);
    CHECK(table.find(kKey, 1) == index);
    CHECK(table.find_or_add(kKey, 1) == index);
    CHECK(table.find(kKey + 1, 1) == kUntracked);
}

TEST_CASE("A key whose hash is 0 is tracked like any other", "[key_table]") {
    const PlainSegment segment(kKeyWindow);
    KeyTable table(segment.view());
    const std::uint32_t index = table.find_or_add(0, 0);
    REQUIRE(index != kUntracked);
    CHECK(table.find(0, 0) == index);
    table.count_miss(index, hour_of(0));
    check_same(table.use(0, 0, 0), {0, 1, true});
}

TEST_CASE("Keys fill their own shard's part of the table, to the last entry", "[key_table]") {
    const PlainSegment segment(2 * kKeyWindow, 2);
    KeyTable table(segment.view());
    for (std::uint64_t key = 1; key <= 2 * kKeyWindow; ++key) {
        const std::uint32_t index = table.find_or_add(key * 0x9E3779B97F4A7C15ULL, 1);
        if (key > kKeyWindow) {
            CHECK(index == kUntracked);
        } else {
            CHECK(index >= kKeyWindow);
            CHECK(index < 2 * kKeyWindow);
        }
    }
    CHECK(table.find_or_add(kKey, 0) < kKeyWindow);
}

TEST_CASE("Without a table nothing is tracked, and a damaged index counts nothing", "[key_table]") {
    const PlainSegment none;
    KeyTable nothing(none.view());
    Word32 record_hour{0};
    CHECK(nothing.find_or_add(kKey, 0) == kUntracked);
    CHECK(nothing.recycle(kKey, 0, 100, nobody) == kUntracked);
    CHECK_FALSE(nothing.count_hit(kUntracked, 0, 100, record_hour));
    CHECK_FALSE(nothing.use(kKey, 0, 0).tracked);
    nothing.note_change(kKey, 0, 1);

    const PlainSegment segment(kKeyWindow);
    KeyTable table(segment.view());
    CHECK_FALSE(table.count_hit(kKeyWindow, 0, 100, record_hour));
    CHECK_FALSE(table.count_miss(kUntracked, 100));
    table.set_fate(kUntracked, Fate::evicted);
    CHECK(table.fate(kUntracked) == Fate::never);
    CHECK(table.mean_change_interval_s(kUntracked) == 0);
    CHECK(table.last_change_s(kUntracked) == 0);
}

TEST_CASE("Who finds that another took the free entry goes on behind it, or shares it", "[key_table]") {
    for (const std::uint64_t other : {kKey, kKey + 1}) {
        const PlainSegment segment(kKeyWindow);
        KeyTable table(segment.view());
        std::uint32_t others = kUntracked;
        testing::call_at_crash_point("key_table.add.free", 1, [&] { others = table.find_or_add(other, 0); });
        const std::uint32_t mine = table.find_or_add(kKey, 0);
        testing::disarm_crash();
        CHECK((mine == others) == (other == kKey));
        CHECK(table.find(kKey, 0) == mine);
        CHECK(table.find(other, 0) == others);
    }
}

TEST_CASE("Threads that add the same keys agree on one entry for each", "[key_table][tsan]") {
    constexpr std::uint64_t kKeys = 64;  // of 128 entries: some windows overflow into their neighbours
    constexpr std::uint32_t kThreads = 4;
    for (std::uint64_t round = 0; round < 20; ++round) {
        const PlainSegment segment(8 * kKeyWindow);
        KeyTable table(segment.view());
        std::array<std::array<std::uint32_t, kKeys>, kThreads> found{};
        std::vector<std::thread> threads;
        for (std::uint32_t t = 0; t < kThreads; ++t)
            threads.emplace_back([&, t] {
                for (std::uint64_t key = 0; key < kKeys; ++key) {
                    const std::uint64_t mine = (key + t * 5) % kKeys;
                    found[t][mine] = table.find_or_add((mine + round + 1) * 0x9E3779B97F4A7C15ULL, 0);
                }
            });
        for (std::thread& thread : threads) thread.join();
        std::map<std::uint64_t, int> entries;
        for (std::uint32_t i = 0; i < 8 * kKeyWindow; ++i) ++entries[segment.view().key_entry(i).key_hash.load()];
        entries.erase(0);
        for (const auto& [hash, times] : entries) REQUIRE(times == 1);
        for (std::uint32_t t = 1; t < kThreads; ++t) REQUIRE(found[t] == found[0]);
    }
}

TEST_CASE("A use counts for the running hour and the 23 after it, then no more", "[key_table]") {
    OneKey key;
    key.hit();
    key.hit(3);
    key.miss();
    key.hour += 23;
    check_same(key.use(), {2, 1, true});
    key.hit();
    check_same(key.use(), {3, 1, true});
    key.hour += 1;
    check_same(key.use(), {1, 0, true});
    key.hour += 22;
    check_same(key.use(), {1, 0, true});
    key.hour += 1;
    check_same(key.use(), {0, 0, true});
}

TEST_CASE("The clock's first hours count like all later ones", "[key_table]") {
    OneKey key;
    key.hour = hour_of(0);
    key.miss();
    key.hit();
    check_same(key.use(), {1, 1, true});
    key.hour += 23;
    check_same(key.use(), {1, 1, true});
    key.hour += 1;
    check_same(key.use(), {0, 0, true});
}

TEST_CASE("Whatever hours pass between uses, the last 24 are counted exactly", "[key_table]") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 engine(seed);
    const auto random = [&engine] { return static_cast<std::uint32_t>(engine()); };
    OneKey key;
    for (int step = 0; step < 3000; ++step) {
        const std::uint32_t dice = random() % 100;
        if (dice < 20)
            key.hour += 1;
        else if (dice < 25)
            key.hour += random() % 30;
        else if (dice < 26)
            key.hour += random() % 1000;
        else if (dice < 60)
            key.hit(random() % 8);
        else
            key.miss();
        if (dice % 10 == 0) check_same(key.use(), key.expected());
    }
}

TEST_CASE("A participant whose clock was read before the hour turned counts in the new hour", "[key_table]") {
    OneKey key;
    key.hit();
    key.hour += 1;
    key.hit(1);
    CHECK(key.table.count_hit(key.index, 2, key.hour - 1, key.record_hours[2]));
    key.hour += 23;
    check_same(key.use(), {2, 0, true});
}

TEST_CASE("Counts go on over the limits of the packed sums", "[key_table]") {
    OneKey key;
    key.segment.view().key_hits(2, key.index).store((1ULL << 36) - 2);
    key.segment.view().key_entry(key.index).cum_misses.store((1ULL << 28) - 1);
    for (int i = 0; i < 5; ++i) key.hit();
    for (int i = 0; i < 3; ++i) key.miss();
    check_same(key.use(), {5, 3, true});
    key.hour += 5;
    key.hit();
    check_same(key.use(), {6, 3, true});
    key.hour += 19;
    check_same(key.use(), {1, 0, true});
}

TEST_CASE("Hits and misses of many threads are exact in every hour", "[key_table][tsan]") {
    OneKey key;
    Word32 record_hour{0};
    constexpr std::uint64_t kEach = 300;
    for (int round = 0; round < 30; ++round, ++key.hour) {
        std::vector<std::thread> threads;
        for (std::uint32_t t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (std::uint64_t i = 0; i < kEach; ++i) {
                    key.table.count_hit(key.index, t, key.hour, record_hour);
                    if (i % 10 == 0) key.table.count_miss(key.index, key.hour);
                }
            });
        for (std::thread& thread : threads) thread.join();
        key.model[key.hour] = {4 * kEach, 4 * kEach / 10};
        check_same(key.use(), key.expected());
    }
    key.hour += 10;
    check_same(key.use(), key.expected());
}

TEST_CASE("Who comes too late to begin the hour leaves it to the one who was first", "[key_table]") {
    OneKey key;
    testing::call_at_crash_point("key_table.advance.read", 1, [&] { key.hit(1); });
    key.hit(0);
    check_same(key.use(), {2, 0, true});
    key.hour += 1;
    testing::call_at_crash_point("key_table.advance.ring", 1, [&] { key.hit(1); });
    key.hit(0);
    testing::disarm_crash();
    check_same(key.use(), key.expected());
    key.hour += 23;
    check_same(key.use(), {2, 0, true});
}

TEST_CASE("Processes that count one key together lose nothing, though one of them is killed", "[key_table][fork]") {
    constexpr std::uint64_t kEach = 5'000;
    OneKey key;
    Word32& record_hour = key.segment.view().key_entry(key.index + 1).head;  // any shared word
    const auto count_all = [&](std::uint32_t participant) {
        for (std::uint64_t i = 0; i < kEach; ++i) {
            const auto hour = static_cast<std::uint32_t>(100 + i / 1000);
            key.table.count_hit(key.index, participant, hour, record_hour);
            key.table.count_miss(key.index, hour);
        }
    };
    std::vector<ChildProcess> children;
    for (std::uint32_t participant = 0; participant < 3; ++participant)
        children.push_back(ChildProcess::start([&](Channel&) {
            count_all(participant);
            return 0;
        }));
    auto victim = ChildProcess::start([&](Channel&) {
        count_all(5);
        testing::arm_crash("key_table.advance.ring", 3);
        key.table.count_miss(key.index, 110);
        return 0;
    });
    for (ChildProcess& child : children) CHECK(child.wait().exited_with(0));
    CHECK(victim.wait().was_killed_by(SIGKILL));
    check_same(key.table.use(kKey, 0, start_of(110)), {4 * kEach, 4 * kEach, true});
}

TEST_CASE("A hit of a new hour is never taken for one of an hour before", "[key_table][tsan]") {
    constexpr std::uint32_t kFirst = 100, kLast = 123;
    constexpr std::uint64_t kEach = 20'000;
    OneKey key;
    Word32 record_hour{0};
    Word32 hour{kFirst};
    std::array<std::array<std::uint64_t, kLast + 1>, 4> hits{};  // by thread and hour
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < kEach; ++i) {
                if (t == 0 && i % (kEach / (kLast - kFirst)) == 1 && hour.load() < kLast) hour.fetch_add(1);
                const std::uint32_t now = hour.load();
                key.table.count_hit(key.index, t, now, record_hour);
                ++hits[t][now];
            }
        });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(hour.load() == kLast);
    std::uint64_t at_least = 0;
    for (std::uint32_t first = kLast; first >= kFirst; --first) {
        for (const auto& of_thread : hits) at_least += of_thread[first];
        CAPTURE(first);
        REQUIRE(key.table.use(kKey, 0, start_of(first + 23)).hits >= at_least);
    }
    CHECK(at_least == 4 * kEach);
    CHECK(key.table.use(kKey, 0, start_of(kFirst + 23)).hits == at_least);
}

TEST_CASE("A process killed while it begins an hour takes no count with it", "[key_table][fork]") {
    const std::uint32_t gap = GENERATE(1U, 2U, 5U, 23U, 24U, 40U);
    const std::string point = GENERATE("key_table.advance.ring", "key_table.advance.head");
    const std::uint32_t stores = point == "key_table.advance.head" ? 1 : std::min(gap, kHours);
    for (std::uint32_t at = 1; at <= stores; ++at) {
        CAPTURE(gap, point, at);
        OneKey key;
        for (int i = 0; i < 30; ++i, ++key.hour) {
            key.hit();
            key.miss();
        }
        key.hour += gap - 1;
        auto child = ChildProcess::start([&](Channel&) {
            testing::arm_crash(point, at);
            key.table.count_hit(key.index, 1, key.hour, key.record_hours[1]);
            return 0;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
        check_same(key.use(), key.expected());
        key.hit(1);
        check_same(key.use(), key.expected());
        for (std::uint32_t i = 0; i < 25; ++i) {
            ++key.hour;
            check_same(key.use(), key.expected());
        }
    }
}

TEST_CASE("An hour that turns while the use is being read makes it the new hour's", "[key_table][fork]") {
    const std::uint32_t gap = GENERATE(1U, 4U, 22U);
    OneKey key;
    for (int i = 0; i < 30; ++i, ++key.hour) {
        key.hit();
        key.miss();
    }
    const std::uint32_t behind = key.hour - 1;
    key.hour += gap - 1;
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash("key_table.advance.ring", gap);  // the ring is at the new hour, head is not
        key.table.count_miss(key.index, key.hour);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    check_same(key.table.use(kKey, 0, start_of(behind)), key.expected());
}

TEST_CASE("An entry is given to another key once its last use is over 24 hours old", "[key_table]") {
    FullWindow full;
    full.table.set_fate(full.indexes[1], Fate::evicted);
    CHECK(full.table.find_or_add(kKey, 0) == kUntracked);
    CHECK(full.table.recycle(kKey, 0, 124, nobody) == kUntracked);
    const std::uint32_t index = full.table.recycle(kKey, 0, 125, nobody);
    REQUIRE(index != kUntracked);
    CHECK(full.table.find(kKey, 0) == index);
    CHECK(full.table.fate(index) == Fate::never);
    check_same(full.table.use(kKey, 0, start_of(125)), {0, 0, true});
    full.table.count_miss(index, 125);
    check_same(full.table.use(kKey, 0, start_of(125)), {0, 1, true});
    int gone = 0;
    for (const auto& [key, at] : full.indexes) {
        if (full.table.find(key, 0) == at) continue;
        ++gone;
        CHECK(at == index);
    }
    CHECK(gone == 1);
}

TEST_CASE("An entry that a record names, or that was used within 24 hours, is not given away", "[key_table]") {
    FullWindow full;
    CHECK(full.table.recycle(kKey, 0, 200, everybody) == kUntracked);
    full.table.count_miss(full.indexes[5], 190);
    const std::uint32_t index =
        full.table.recycle(kKey, 0, 200, [](std::uint64_t hash) { return hash != 5 && hash != 9; });
    CHECK(index == full.indexes[9]);
    CHECK(full.table.recycle(kKey, 0, 200, everybody) == index);
}

TEST_CASE("An entry that was never used has 24 hours from when it was first found so", "[key_table]") {
    const PlainSegment segment(kKeyWindow);
    KeyTable table(segment.view());
    for (std::uint64_t key = 1; key <= kKeyWindow; ++key) table.find_or_add(key, 0);
    CHECK(table.recycle(kKey, 0, 1000, nobody) == kUntracked);
    CHECK(table.recycle(kKey, 0, 1024, nobody) == kUntracked);
    CHECK(table.recycle(kKey, 0, 1025, nobody) != kUntracked);
}

TEST_CASE("A use of the old key in the last moment keeps its entry", "[key_table]") {
    FullWindow full;
    const auto only_3 = [](std::uint64_t hash) { return hash != 3; };
    testing::call_at_crash_point("key_table.advance.ring", 1, [&] { full.table.count_miss(full.indexes[3], 200); });
    CHECK(full.table.recycle(kKey, 0, 200, only_3) == kUntracked);
    testing::call_at_crash_point("key_table.recycle.advanced", 1, [&] { full.table.count_miss(full.indexes[3], 300); });
    CHECK(full.table.recycle(kKey, 0, 300, only_3) == kUntracked);
    const auto begin_hour = [&] { full.segment.view().key_entry(full.indexes[3]).head.store(400); };  // not counted yet
    testing::call_at_crash_point("key_table.advance.read", 1, begin_hour);
    CHECK(full.table.recycle(kKey, 0, 400, only_3) == kUntracked);
    testing::disarm_crash();
    CHECK(full.table.find(3, 0) == full.indexes[3]);
}

TEST_CASE("A process killed while it gives an entry away leaves it to the old key, unused", "[key_table][fork]") {
    const std::string point = GENERATE("key_table.advance.ring", "key_table.advance.head", "key_table.recycle.advanced",
                                       "key_table.recycle.cleared");
    CAPTURE(point);
    FullWindow full;
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        full.table.recycle(kKey, 0, 200, nobody);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    CHECK(full.table.find(kKey, 0) == kUntracked);
    for (const auto& [key, at] : full.indexes) {
        CHECK(full.table.find(key, 0) == at);
        check_same(full.table.use(key, 0, start_of(200)), {0, 0, true});
    }
    CHECK(full.table.recycle(kKey, 0, 225, nobody) != kUntracked);
    check_same(full.table.use(kKey, 0, start_of(225)), {0, 0, true});
}

TEST_CASE("Of what became of a key the last word counts", "[key_table]") {
    OneKey key;
    CHECK(key.table.fate(key.index) == Fate::never);
    key.table.set_fate(key.index, Fate::live);
    key.table.set_fate(key.index, Fate::expired);
    CHECK(key.table.fate(key.index) == Fate::expired);
}

TEST_CASE("The interval between changes is an exponential mean of whole seconds", "[key_table]") {
    OneKey key;
    key.table.note_change(kKey + 1, 0, 5);
    CHECK(key.table.find(kKey + 1, 0) == kUntracked);
    key.table.note_change(kKey, 0, 1000);
    CHECK(key.table.last_change_s(key.index) == 1000);
    CHECK(key.table.mean_change_interval_s(key.index) == 0);
    key.table.note_change(kKey, 0, 1100);
    CHECK(key.table.mean_change_interval_s(key.index) == 100);
    key.table.note_change(kKey, 0, 1100);
    CHECK(key.table.mean_change_interval_s(key.index) == 100);
    key.table.note_change(kKey, 0, 1120);
    CHECK(key.table.mean_change_interval_s(key.index) == 90);
    for (std::uint32_t now = 1140; now < 3000; now += 20) key.table.note_change(kKey, 0, now);
    CHECK(key.table.mean_change_interval_s(key.index) <= 27);
    CHECK(key.table.mean_change_interval_s(key.index) >= 20);
}
