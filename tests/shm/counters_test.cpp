#include "shm/counters.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/plain_segment.hpp"

using namespace larder::shm;
using larder::test::Channel;
using larder::test::ChildProcess;
using larder::test::PlainSegment;

namespace {

ThreadBlock& use_block(const SegmentView& view, std::uint32_t slot, std::uint32_t block) {
    SegmentHeader& header = view.header();
    if (header.registry_high.load() <= slot) header.registry_high.store(slot + 1);
    if (view.process(slot).blocks_high.load() <= block) view.process(slot).blocks_high.store(block + 1);
    return view.threads(slot)[block];
}

}  // namespace

TEST_CASE("A count is found in the totals, whichever block it was added to", "[counters]") {
    const PlainSegment segment;
    const SegmentView view = segment.view();
    for (std::uint32_t i = 0; i < kCounters; ++i) {
        const auto counter = static_cast<Counter>(i);
        count(&use_block(view, 0, 0), view.header(), counter);
        count(&use_block(view, kProcesses - 1, kThreadBlocks - 1), view.header(), counter, 10 + i);
        count(nullptr, view.header(), counter, 100);
        CHECK(read_totals(view)[counter] == 111 + i);
    }
}

TEST_CASE("Totals end at the slots and blocks that were ever used", "[counters]") {
    const PlainSegment segment;
    const SegmentView view = segment.view();
    count(&use_block(view, 2, 1), view.header(), Counter::hits);
    count(&view.threads(2)[2], view.header(), Counter::hits);
    count(&view.threads(3)[0], view.header(), Counter::hits);
    CHECK(read_totals(view)[Counter::hits] == 1);

    view.header().registry_high.store(0xFFFFFFFF);
    view.process(2).blocks_high.store(0xFFFFFFFF);
    CHECK(read_totals(view)[Counter::hits] == 2);
}

TEST_CASE("Misses are the sum of all reasons, and a stale hit is one lookup", "[counters]") {
    CounterTotals totals;
    std::uint64_t expected = 0;
    for (const CounterText& row : kCounterTable) {
        if (row.name.rfind("misses_", 0) != 0) continue;
        totals.values[static_cast<std::uint32_t>(row.counter)] = 1ULL << static_cast<std::uint32_t>(row.counter);
        expected += 1ULL << static_cast<std::uint32_t>(row.counter);
    }
    totals.values[static_cast<std::uint32_t>(Counter::hits)] = 5;
    totals.values[static_cast<std::uint32_t>(Counter::stale_hits)] = 2;
    CHECK(expected != 0);
    CHECK(totals.misses() == expected);
    CHECK(totals.lookups() == expected + 5);
}

TEST_CASE("Every counter has a name of its own and says what it means", "[counters]") {
    std::set<std::string> names;
    for (const CounterText& row : kCounterTable) {
        CAPTURE(row.name);
        CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
        CHECK(names.emplace(row.name).second);
        CHECK((row.remedy.empty() || row.remedy.back() == '.'));
    }
    CHECK(kCounterTable[static_cast<std::size_t>(Counter::damaged_reads)].name == "damaged_reads");
}

TEST_CASE("A header carries the labels of its counters and nothing behind them", "[counters]") {
    const PlainSegment segment;
    SegmentHeader& header = segment.view().header();
    write_counter_labels(header);
    for (std::uint32_t i = 0; i < kCounters; ++i) {
        CHECK(std::string(header.labels[i].name) == kCounterTable[i].name);
        CHECK(std::string(header.labels[i].meaning) == kCounterTable[i].meaning);
    }
    for (std::uint32_t i = kCounters; i < kThreadCounters; ++i) CHECK(header.labels[i].name[0] == '\0');
}

TEST_CASE("Counts of many threads add up exactly while they are being read", "[counters][tsan]") {
    constexpr std::uint64_t kEach = 20'000;
    const PlainSegment segment;
    const SegmentView view = segment.view();
    for (std::uint32_t i = 0; i < 3; ++i) use_block(view, i, 0);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 6; ++i)
        threads.emplace_back([&view, i] {
            ThreadBlock* own = i < 3 ? &view.threads(i)[0] : nullptr;
            for (std::uint64_t n = 0; n < kEach; ++n) count(own, view.header(), Counter::puts);
        });
    std::uint64_t last = 0;
    bool fell = false;
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t now = read_totals(view)[Counter::puts];
        fell = fell || now < last;
        last = now;
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(fell);
    CHECK(read_totals(view)[Counter::puts] == 6 * kEach);
}

TEST_CASE("What a killed process has counted stays counted", "[counters][fork]") {
    const PlainSegment segment;
    const SegmentView view = segment.view();
    ThreadBlock& block = use_block(view, 1, 0);
    auto child = ChildProcess::start([&](Channel& parent) {
        for (int i = 0; i < 1000; ++i) count(&block, view.header(), Counter::hits);
        count(nullptr, view.header(), Counter::hits, 7);
        parent.tell('c');
        parent.hear();
        return 0;
    });
    REQUIRE(child.hear() == 'c');
    child.kill(SIGKILL);
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    count(&block, view.header(), Counter::hits);  // the block's next owner
    CHECK(read_totals(view)[Counter::hits] == 1008);
}
