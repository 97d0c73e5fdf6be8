// What is known of a source: its last look never goes back, marks are believed whole or not at all.
#include "shm/source_sync.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "shm/mapping.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/scoped_cache.hpp"

using namespace larder::shm;
using namespace std::chrono_literals;
using larder::SyncState;
using larder::test::Channel;
using larder::test::ChildProcess;
using larder::test::ScopedCache;

namespace {

constexpr std::int64_t kMs = 1'000'000;

struct Fixture {
    ScopedCache scoped;
    SegmentView view = Mapping::open(scoped.options, nullptr)->view();
    SourceSync sync{view};
    std::int64_t now_ns() const { return scoped.clock->now_ns(); }
    /// Notice n with position 10 * n + 10, for n up to `last`.
    void mark_up_to(std::uint64_t last) {
        for (std::uint64_t n = 0; n <= last; ++n) sync.mark(n, 10 * n + 10);
    }
};

}  // namespace

TEST_CASE("A later word of an earlier look takes nothing back", "[sync]") {
    Fixture f;
    CHECK(f.sync.last_ns() == kNeverSynced);
    f.sync.advance(f.now_ns());
    CHECK(f.sync.last_ns() == f.now_ns());
    f.sync.advance(f.now_ns() - 500 * kMs);
    f.sync.advance(std::numeric_limits<std::int64_t>::min());
    CHECK(f.sync.last_ns() == f.now_ns());
}

TEST_CASE("A look is not written that brings the last one on by less than 50 ms", "[sync]") {
    Fixture f;
    const std::int64_t begin_ns = f.now_ns();
    f.sync.advance(begin_ns);
    f.sync.advance(begin_ns + 50 * kMs - 1);
    CHECK(f.sync.last_ns() == begin_ns);
    f.sync.advance(begin_ns + 50 * kMs);
    CHECK(f.sync.last_ns() == begin_ns + 50 * kMs);
    SECTION("or than a quarter of a short promise") {
        f.sync.promise(40 * kMs, 0);
        f.sync.advance(begin_ns + 60 * kMs - 1);
        CHECK(f.sync.last_ns() == begin_ns + 50 * kMs);
        f.sync.advance(begin_ns + 60 * kMs);
        CHECK(f.sync.last_ns() == begin_ns + 60 * kMs);
    }
}

TEST_CASE("A promise is as long as it was given, a century at most", "[sync]") {
    Fixture f;
    CHECK_FALSE(f.sync.state(f.now_ns()));
    f.sync.promise(2'000 * kMs, 500 * kMs);
    SyncState state = f.sync.state(f.now_ns()).value();
    CHECK(state.degraded_after == 2s);
    CHECK(state.max_stale == 500ms);
    CHECK_FALSE(state.age);
    CHECK(state.degraded);
    f.sync.advance(f.now_ns() - 700 * kMs);
    state = f.sync.state(f.now_ns()).value();
    CHECK(state.age == 700ms);
    CHECK_FALSE(state.degraded);
    CHECK(f.sync.state(f.now_ns() + 1'300 * kMs).value().degraded);
    CHECK(f.sync.state(f.now_ns() - 1'000 * kMs).value().age == 0ms);  // another process's clock step

    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    f.sync.promise(kMost / 2, kMost / 2);
    Record backed{};
    backed.flags = kBacked;
    CHECK_FALSE(f.sync.is_late(backed, f.now_ns()));
    f.view.header().last_sync_ns = kNeverSynced;
    CHECK(f.sync.is_late(backed, f.now_ns()));
}

TEST_CASE("Of the marks up to a position the highest notice counts", "[sync]") {
    Fixture f;
    CHECK_FALSE(f.sync.notice_seen_at(~std::uint64_t{0} >> 1));
    f.sync.mark(3, 100);
    f.sync.mark(3, 90);  // no news
    f.sync.mark(7, 200);
    f.sync.mark(5, 150);  // of a caller that was stopped for a while
    CHECK(f.view.header().sync_marks[0].begun == 2);
    CHECK_FALSE(f.sync.notice_seen_at(99));
    CHECK(f.sync.notice_seen_at(100) == 3);
    CHECK(f.sync.notice_seen_at(199) == 3);
    CHECK(f.sync.notice_seen_at(200) == 7);
    SECTION("also where the numbers of the source went back") {
        f.sync.mark(9, 50);
        CHECK_FALSE(f.sync.notice_seen_at(49));
        CHECK(f.sync.notice_seen_at(50) == 9);
    }
}

TEST_CASE("A position behind all marks that are left is known by the first one alone", "[sync]") {
    Fixture f;
    const std::uint64_t last = 2 * kSyncMarks;
    f.mark_up_to(last);
    CHECK(f.sync.notice_seen_at(10 * last + 10) == last);
    const std::uint64_t oldest = last - (kSyncMarks - 2);
    CHECK(f.sync.notice_seen_at(10 * oldest + 10) == oldest);
    CHECK(f.sync.notice_seen_at(10 * oldest + 9) == 0);
    CHECK(f.sync.notice_seen_at(10) == 0);
    CHECK_FALSE(f.sync.notice_seen_at(9));
}

TEST_CASE("A mark whose writer was killed in it is not believed, and the next one is", "[sync][crash][fork]") {
    Fixture f;
    const bool is_first = GENERATE(true, false);
    const std::uint64_t next = kSyncMarks;
    if (!is_first) f.mark_up_to(kSyncMarks - 1);  // then the place has an older mark, of notice 1
    const std::string point = GENERATE("sync.mark.begun", "sync.mark.notice", "sync.mark.position", "sync.marked");
    ChildProcess victim = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        f.sync.mark(next, 10 * next + 10);
        return 0;
    });
    REQUIRE(victim.wait().was_killed_by(SIGKILL));
    const bool is_whole = point == "sync.marked";
    const std::optional<std::uint64_t> before = is_first ? std::nullopt : std::optional<std::uint64_t>(0);
    const std::uint64_t all = ~std::uint64_t{0} >> 1;
    const std::optional<std::uint64_t> last = is_first ? before : std::optional<std::uint64_t>(kSyncMarks - 1);
    CHECK(f.sync.notice_seen_at(all) == (is_whole ? std::optional(next) : last));
    // Notice 1 of the older mark lay at 20; untouched it is known, else only the first one is.
    if (!is_first) CHECK(f.sync.notice_seen_at(29) == (point == "sync.mark.begun" ? 1 : 0));
    f.sync.mark(next + 1, 10 * next + 20);
    CHECK(f.sync.notice_seen_at(all) == next + 1);
}

TEST_CASE("Marks of several writers at once are each whole", "[sync][tsan]") {
    Fixture f;
    std::atomic<bool> done{false};
    std::vector<std::thread> writers;
    for (std::uint64_t writer = 0; writer < 2; ++writer)
        writers.emplace_back([&, writer] {
            for (std::uint64_t n = 1; n <= 20'000; ++n) f.sync.mark(2 * n + writer, (2 * n + writer) * 10);
        });
    std::thread reader([&] {
        std::uint64_t wrong = 0;
        for (std::uint64_t position = 0; !done; position = (position + 9'973) % 400'010)
            if (const auto notice = f.sync.notice_seen_at(position)) wrong += *notice * 10 > position ? 1 : 0;
        CHECK(wrong == 0);
    });
    for (std::thread& writer : writers) writer.join();
    done = true;
    reader.join();
    CHECK(f.sync.notice_seen_at(~std::uint64_t{0} >> 1).value() >= 40'000);
}

TEST_CASE("A promise whose maker was killed in it is made by the next that opens the cache", "[sync][crash][fork]") {
    ScopedCache scoped;
    larder::Options options = scoped.options;
    options.degraded_after = 2s;
    ChildProcess victim = ChildProcess::start([&](Channel&) {
        testing::arm_crash("sync.promise");
        larder::Cache::open(options);
        return 0;
    });
    REQUIRE(victim.wait().was_killed_by(SIGKILL));
    CHECK_FALSE(scoped.cache.sync_state());
    larder::Cache::open(options);
    CHECK(scoped.cache.sync_state().value().degraded_after == 2s);
}

TEST_CASE("Positions of a stream and of the source itself are never compared", "[sync]") {
    Fixture f;
    f.sync.mark(3, 100);
    f.sync.mark(5, larder::stream_position(10));
    f.sync.mark(4, 200);
    CHECK(f.sync.notice_seen_at(~std::uint64_t{0} >> 1) == 4);
    CHECK(f.sync.notice_seen_at(larder::stream_position(10)) == 5);
    CHECK_FALSE(f.sync.notice_seen_at(larder::stream_position(9)));
    CHECK_FALSE(f.sync.notice_seen_at(99));
}
