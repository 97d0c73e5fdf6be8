// Two processes make one cache, and one of them stops or dies at each of its steps.
#include <signal.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"
#include "shm/testing.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
namespace testing = larder::shm::testing;

namespace {

Options options_in(const ScopedDirectory& directory) {
    Options options = small_options(directory.path());
    options.identity = "school.db";
    options.lock_budget = std::chrono::seconds(10);
    return options;
}

/// What making a cache comes past, each step as often as it does.
std::vector<testing::SeenCrashPoint> steps_of_making() {
    const ScopedDirectory directory;
    testing::record_crash_points();
    Cache::open(options_in(directory));
    return testing::crash_points_seen();
}

std::uint64_t incarnation_of(const ScopedDirectory& directory) {
    return shm::Segment::attach_read_only(directory.file("test.seg")).view().header().incarnation;
}

/// Opens it while the maker stands where it is, and uses it. Returns the segment's incarnation.
std::uint64_t use(const ScopedDirectory& directory, const std::string& key) {
    Cache cache = Cache::open(options_in(directory));
    if (cache.invalidate(key) == 0) throw Wrong("no notice");
    if (!is_stored(cache, key, "value of " + key)) throw Wrong("no put");
    if (cache.get(key).value() != "value of " + key) throw Wrong("no get");
    return incarnation_of(directory);
}

/// Plays one step: "" or what was wrong.
std::string race(const testing::SeenCrashPoint& point, std::uint64_t time, bool dies) {
    const ScopedDirectory directory;
    ChildProcess maker = ChildProcess::start([&](Channel& test) {
        testing::arm_crash(point.name, time, testing::Death::stop);
        Cache cache = Cache::open(options_in(directory));
        if (!is_stored(cache, "key", "value")) return 1;
        testing::disarm_crash();
        test.tell('m');
        if (test.hear() != 'l') return 2;  // the third one has been
        return eventually([&] { return cache.get("third").value() == "value of third"; }) ? 0 : 3;
    });
    if (!maker.wait_for_stop()) return "it does not come past";
    ChildProcess other = ChildProcess::start([&](Channel& test) {
        Cache cache = Cache::open(options_in(directory));  // while the maker stands still
        test.tell('o');
        if (test.hear() != 'g') return 1;
        return use(directory, "other") != 0 ? 0 : 2;
    });
    if (other.hear() != 'o') return "another process waits for the one that stands still";
    if (!other.tell('g') || !other.wait().exited_with(0)) return "it is of no use to the other one";
    maker.kill(dies ? SIGKILL : SIGCONT);
    if (dies && !maker.wait().was_killed_by(SIGKILL)) return "it did not die";
    if (!dies && maker.hear() != 'm') return "the maker does not go on";
    ChildProcess third = ChildProcess::start([&](Channel&) { return use(directory, "third") != 0 ? 0 : 1; });
    if (!third.wait().exited_with(0)) return "a third one cannot use it";
    if (!dies && (!maker.tell('l') || !maker.wait().exited_with(0))) return "they are not in one cache";
    return first_violation(shm::Segment::attach_read_only(directory.file("test.seg")).view());
}

}  // namespace

TEST_CASE("A maker that stands still or dies at any step keeps nobody from opening the cache",
          "[environment][R1][crash][fork]") {
    const Watchdog watchdog(600);
    const std::vector<testing::SeenCrashPoint> steps = steps_of_making();
    REQUIRE(steps.size() >= 12);
    std::string names;
    for (const testing::SeenCrashPoint& step : steps) names += step.name + " ";
    for (const char* const needed : {"segment.allocated", "segment.formatted", "segment.linked", "identity.claimed",
                                     "identity.written", "registry.claiming", "registry.live", "mapping.block"}) {
        INFO(names);
        CHECK_THAT(names, Catch::Contains(needed));
    }
    for (const testing::SeenCrashPoint& step : steps) {
        for (std::uint64_t time = 1; time <= step.times; ++time) {
            for (const bool dies : {true, false}) {
                INFO(step.name << ", time " << time << (dies ? ", killed" : ", stopped for a while"));
                CHECK(race(step, time, dies) == "");
            }
        }
    }
}
