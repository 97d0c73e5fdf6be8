// A cache that was removed and cannot be opened anew: everything misses, nothing is lost silently, and it heals.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "shm/cache_impl.hpp"
#include "shm/mapping.hpp"
#include "shm/replacement.hpp"
#include "shm/system.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/coarse_clock.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
namespace testing = larder::shm::testing;
namespace system_calls = larder::shm::system;
using Value = std::optional<std::string>;

namespace {

/// By the machine's clock; remembers what was logged.
struct Scene {
    std::vector<std::string> lines;
    ScopedCache scoped{options_with(lines)};
    Cache& cache = scoped.cache;

    static Options options_with(std::vector<std::string>& lines) {
        struct Coarse : Clock {
            std::int64_t now_ns() override { return system_calls::coarse_ns(); }
        };
        Options options;
        options.clock = std::make_shared<Coarse>();
        options.log = [&lines](LogLevel, std::string_view line) { lines.emplace_back(line); };
        return options;
    }
    shm::Location location() const { return shm::locate(scoped.options.directory, scoped.options.name, false); }
    int warnings() const {
        int count = 0;
        for (const std::string& line : lines) count += line.find("cannot be opened anew") != std::string::npos ? 1 : 0;
        return count;
    }
    ~Scene() { system_calls::fail_nothing(); }
};

}  // namespace

TEST_CASE("While a removed cache cannot be made anew everything misses or says busy, and no notice is said to be heard",
          "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    Cache& cache = scene.cache;
    REQUIRE(cache.put("key", "old") == PutResult::stored);
    Begun begun = cache.begin("leased");
    REQUIRE(std::holds_alternative<Lease>(begun));
    REQUIRE(shm::remove_cache(scene.location()));
    pass(60ms);
    system_calls::fail_nth(system_calls::Call::temporary_file, 1, ENOSPC, true);
    CHECK(cache.put("key", "new") == PutResult::busy);
    CHECK(scene.warnings() == 1);
    CHECK(cache.invalidate("key") == 0);
    CHECK(cache.invalidate_all() == 0);
    CHECK_FALSE(cache.get("key"));
    CHECK_FALSE(cache.peek("key"));
    CHECK_FALSE(cache.find("key"));
    CHECK_FALSE(cache.find(""));
    CHECK_FALSE(cache.touch("key", 10s));
    CHECK_FALSE(cache.erase("key"));
    CHECK(cache.stamp().incarnation == 0);
    CHECK_FALSE(cache.key_use("key").tracked);
    CHECK_FALSE(cache.mean_compute_time().has_value());
    CHECK(cache.fill(std::move(std::get<Lease>(begun)), "value") == PutResult::busy);
    cache.tend();
    CHECK(cache.warm("key", []() -> Value { return "own"; }).value() == "own");
    CHECK(cache.get_or_compute("key", []() -> Value { return std::nullopt; }).state() == State::negative);
    pass(60ms);
    CHECK(cache.put("key", "new") == PutResult::busy);
    CHECK(scene.warnings() == 1);  // the same again is no news
    system_calls::fail_nothing();
    CHECK(eventually([&] { return cache.put("key", "new") == PutResult::stored; }));
    CHECK(cache.get("key").value() == "new");
}

TEST_CASE("A notice that came late to a segment that was unlinked is said again in the next", "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "old") == PutResult::stored);
    testing::call_at_crash_point("fences.raise", 1, [&] {
        REQUIRE(::unlink(scene.cache.segment_path().c_str()) == 0);
        pass(60ms);
    });
    CHECK(scene.cache.invalidate("key") != 0);
    const shm::Segment next = shm::Segment::attach_read_only(scene.cache.segment_path());
    CHECK(next.view().header().incarnation != scene.scoped.view().header().incarnation);
    CHECK(next.view().header().notice_number.load() != 0);
}

TEST_CASE("A call in the middle of opening a cache anew misses and does not wait", "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "old") == PutResult::stored);
    REQUIRE(shm::remove_cache(scene.location()));
    pass(60ms);
    bool missed = false;
    testing::call_at_crash_point("segment.formatted", 1, [&] { missed = !scene.cache.get("key"); });
    scene.cache.put("key", "new");
    CHECK(missed);
    CHECK(eventually([&] { return scene.cache.put("key", "new") == PutResult::stored; }));
}

TEST_CASE("What went to a segment that was replaced is known to have gone elsewhere", "[replacement]") {
    Scene scene;
    const auto impl = std::make_shared<detail::CacheImpl>(scene.scoped.options);
    CHECK(impl->still_current());
    REQUIRE(shm::remove_cache(scene.location()));
    CHECK_FALSE(impl->still_current());
    Cache next = Cache::open(scene.scoped.options);
    pass(60ms);
    CHECK_FALSE(impl->still_current());
    CHECK(impl->still_current());
}

TEST_CASE("A damaged moment of opening holds nobody up, and a closed segment renews nothing", "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "value") == PutResult::stored);
    shm::SegmentHeader& header = shm::Mapping::open(scene.scoped.options, nullptr)->view().header();
    header.open_at_ns = system_calls::coarse_ns() + 3'600'000'000'000;
    CHECK_FALSE(scene.cache.touch("key", 10s));
    CHECK(scene.cache.put("key", "new") == PutResult::busy);
    header.open_at_ns = std::numeric_limits<std::int64_t>::min();
    CHECK(scene.cache.invalidate("key") != 0);
    CHECK_FALSE(scene.cache.get("key"));
}

TEST_CASE("A cache in memory that is to listen has nothing to listen at, and works", "[cache]") {
    Options options;
    options.in_memory = true;
    options.listen = true;
    options.size_bytes = 16ULL << 20;
    Cache cache = Cache::open(options);
    CHECK(cache.put("key", "value") == PutResult::stored);
    CHECK(cache.socket_path().empty());
    const ScopedCache other;  // of a file: the one in memory is left alone by its making
    CHECK(cache.get("key").value() == "value");
}

TEST_CASE("Who replaces a cache waits for another that stands still, as long as it was told", "[replacement][fork]") {
    const Watchdog watchdog;
    Scene scene;
    ChildProcess replacer = ChildProcess::start([&](Channel&) {
        testing::arm_crash("replacement.closed", 1, testing::Death::stop);
        shm::remove_cache(scene.location());
        return 0;
    });
    REQUIRE(replacer.wait_for_stop());
    CHECK_THROWS_WITH(shm::remove_cache(scene.location(), 20ms), Catch::Contains("another process is replacing"));
    replacer.kill(SIGCONT);
    CHECK(replacer.wait().exited_with(0));
    CHECK_FALSE(shm::remove_cache(scene.location(), 20ms));
    const shm::process::Lock lock(20ms);
    CHECK_THROWS_WITH(shm::remove_cache(scene.location(), 20ms), Catch::Contains("another thread of this process"));
    CHECK_THROWS_WITH(shm::Mapping::open(scene.scoped.options, nullptr, 20ms), Catch::Contains("another thread"));
}

TEST_CASE("A file that cannot be removed is said, one that is gone already is not", "[replacement]") {
    Scene scene;
    system_calls::fail_nth(system_calls::Call::remove, 1, EACCES);
    CHECK_THROWS_WITH(shm::remove_cache(scene.location()), Catch::Contains("cannot remove"));
    system_calls::fail_nth(system_calls::Call::remove, 1, ENOENT);
    CHECK(shm::remove_cache(scene.location()));
}
