#include "shm/directory.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/model_run.hpp"

using namespace larder::shm;

namespace {

constexpr std::uint32_t kSlots = 64;

/// A directory in plain memory, of records that are no more than their number; hashes are the test's to choose.
struct Fixture {
    std::vector<Word64> slots = std::vector<Word64>(kSlots);
    Word64 moves{0};
    Directory directory{slots.data(), kSlots, moves};
    std::map<std::uint64_t, std::uint64_t> hashes;  // by units
    std::uint64_t publications = 0;

    bool insert(std::uint64_t units, std::uint64_t hash) {
        const std::uint32_t slot = directory.find_free(hash);
        if (slot == Directory::kNone) return false;
        hashes[units] = hash;
        directory.publish(slot, slot_word(units, tag_of(hash), ++publications));
        return true;
    }
    void erase(std::uint64_t units) {
        const std::uint32_t slot = directory.find(hashes[units], units);
        REQUIRE(slot != Directory::kNone);
        directory.erase(slot, [this](std::uint64_t word) { return directory.home(hashes.at(slot_units(word))); });
        hashes.erase(units);
    }
    /// Every record is found from its home without a hole before it, and nothing else is there.
    void check() {
        std::size_t used = 0;
        for (const Word64& slot : slots) used += slot.load() != 0 ? 1 : 0;
        CHECK(used == hashes.size());
        for (const auto& [units, hash] : hashes) CHECK(directory.find(hash, units) != Directory::kNone);
        CHECK(moves.load() % 2 == 0);
    }
};

}  // namespace

TEST_CASE("A slot's word keeps offset, tag and the low bits of the count apart", "[directory]") {
    const std::uint64_t word = slot_word(0xFFFFFFFF, 0xABC, 0x1234567);
    CHECK(slot_units(word) == 0xFFFFFFFF);
    CHECK(slot_tag(word) == 0xABC);
    CHECK((word & 0xFFFFF) == 0x34567);
    CHECK(slot_word(1, 0, 0) != 0);
    CHECK(slot_word(1, 2, 3) != slot_word(1, 2, 4));
}

TEST_CASE("Records that share a home are found one behind the other, over the end of the table", "[directory]") {
    Fixture f;
    for (std::uint64_t units = 1; units <= 10; ++units) REQUIRE(f.insert(units, 60));
    f.check();
    CHECK(f.directory.find(60, 10) == (60 + 9) % kSlots);
    CHECK(f.directory.find(60, 11) == Directory::kNone);
    CHECK(f.directory.find(61, 1) == Directory::kNone);
}

TEST_CASE("Deletion shifts back what probed past it, and nothing that is at home", "[directory]") {
    Fixture f;
    REQUIRE(f.insert(1, 60));
    REQUIRE(f.insert(2, 60));  // at 61
    REQUIRE(f.insert(3, 62));  // at home
    REQUIRE(f.insert(4, 60));  // at 63
    REQUIRE(f.insert(5, 61));  // at 0
    f.erase(1);
    f.check();
    CHECK(f.directory.find(60, 2) == 60);
    CHECK(f.directory.find(60, 4) == 61);
    CHECK(f.directory.find(62, 3) == 62);
    CHECK(f.directory.find(61, 5) == 63);
    CHECK(f.slots[0].load() == 0);
}

TEST_CASE("`moves` is raised by two when slots are shifted, and left alone when none is", "[directory]") {
    Fixture f;
    REQUIRE(f.insert(1, 10));
    REQUIRE(f.insert(2, 10));
    f.erase(2);
    CHECK(f.moves.load() == 0);
    REQUIRE(f.insert(2, 10));
    f.erase(1);
    CHECK(f.moves.load() == 2);
}

TEST_CASE("Clearing empties all slots and leaves `moves` even and changed, also when a writer died in a shift",
          "[directory]") {
    Fixture f;
    REQUIRE(f.insert(1, 10));
    f.moves = GENERATE(4u, 5u);
    const std::uint64_t before = f.moves;
    f.directory.clear();
    f.hashes.clear();
    f.check();
    CHECK(f.moves.load() > before);
}

TEST_CASE("No free slot within the longest probe is said, not searched for ever", "[directory]") {
    std::vector<Word64> slots(1024);
    Word64 moves{0};
    Directory directory(slots.data(), 1024, moves);
    for (std::uint32_t i = 0; i < kMaxProbe; ++i) directory.publish(i, slot_word(i + 1, 0, 0));
    CHECK(directory.find_free(0) == Directory::kNone);
    CHECK(directory.find_free(1) == kMaxProbe);
    CHECK(directory.find(0, 5'000) == Directory::kNone);
}

TEST_CASE("Deleting from a directory without a free slot ends", "[directory]") {
    Fixture f;
    for (std::uint32_t i = 0; i < kSlots; ++i) f.directory.publish(i, slot_word(i + 1, 0, 0));
    f.directory.erase(3, [](std::uint64_t word) { return static_cast<std::uint32_t>(slot_units(word) - 1); });
    CHECK(f.slots[3].load() == 0);
    CHECK(f.moves.load() % 2 == 0);
}

TEST_CASE("Random insertions and deletions keep every record findable", "[directory]") {
    const std::uint64_t seed = larder::test::seed_of_run();
    INFO("LARDER_SEED=" << seed);
    std::mt19937_64 random(seed);
    Fixture f;
    std::uint64_t next = 1;
    for (int i = 0; i < 3'000; ++i) {
        const bool grow = f.hashes.size() < 4 || (f.hashes.size() < 40 && random() % 2 == 0);
        if (grow) {
            REQUIRE(f.insert(next++, random() % 3 == 0 ? 62 : random()));
        } else {
            auto at = f.hashes.begin();
            std::advance(at, static_cast<std::ptrdiff_t>(random() % f.hashes.size()));
            f.erase(at->first);
        }
        if (i % 50 == 0) f.check();
    }
    f.check();
}

TEST_CASE("A reader that finds nothing between two equal even readings was not passed by a shift",
          "[directory][tsan]") {
    Fixture f;
    for (std::uint64_t units = 1; units <= 12; ++units) REQUIRE(f.insert(units, 5));
    std::atomic<bool> ended{false};
    std::atomic<int> lost{0}, believed{0};
    std::thread reader([&] {
        while (!ended) {  // record 12 is there all the time
            const std::uint64_t before = f.moves.load(std::memory_order_acquire);
            const bool found = f.directory.find(5, 12) != Directory::kNone;
            if (!found && before % 2 == 0 && f.moves.load(std::memory_order_seq_cst) == before) ++lost;
            ++believed;
        }
    });
    std::uint64_t next = 100;
    while (believed == 0) std::this_thread::yield();
    for (int i = 0; i < 5'000; ++i) {
        f.erase(f.hashes.begin()->first == 12 ? std::next(f.hashes.begin())->first : f.hashes.begin()->first);
        f.insert(next++, 5);
    }
    ended = true;
    reader.join();
    CHECK(lost == 0);
}
