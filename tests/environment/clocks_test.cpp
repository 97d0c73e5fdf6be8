// Clocks that step, and clocks of another time namespace.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <variant>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/environment/stage.hpp"
#include "tests/environment/wall_clock.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::hours kTenYears{24 * 3'650};

std::int64_t wall_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

EntryOptions for_time(std::chrono::milliseconds ttl) {
    EntryOptions options;
    options.ttl = ttl;
    return options;
}

/// Another computes the key. Asked in a thread of its own: who holds a lease is not made to wait.
bool is_busy(Cache& cache, const std::string& key) {
    bool is_busy = false;
    std::thread([&] { is_busy = std::holds_alternative<Busy>(cache.begin(key)); }).join();
    return is_busy;
}

/// Entries live and die by their ttl; stale ones are stale; a lease and its waiters behave; uses count.
void live_through(Cache& cache) {
    require(is_stored(cache, "long", "value", for_time(1h)), "no put");
    EntryOptions soft = for_time(1h);
    soft.soft_ttl = 30ms;
    require(is_stored(cache, "soft", "value", soft), "no put of a soft one");
    require(is_stored(cache, "short", "value", for_time(30ms)), "no put of a short one");
    require(eventually([&] { return !cache.peek("short"); }), "an entry is immortal");
    require(eventually([&] { return cache.peek("soft").state() == State::stale; }), "an entry is fresh for ever");
    require(cache.get("long").state() == State::live, "an entry of an hour is gone");
    cache.erase("leased");
    Begun first = cache.begin("leased");
    require(std::holds_alternative<Lease>(first), "no lease");
    require(is_busy(cache, "leased"), "a lease is given twice");
    require(cache.fill(std::move(std::get<Lease>(first)), "value") == PutResult::stored, "no fill");
    require(cache.get("leased").value() == "value", "no value");
}

}  // namespace

TEST_CASE("The tests' wall clock steps, and others do not", "[environment]") {
    const std::int64_t wall = wall_seconds(), monotonic_ns = shm::system::monotonic_ns();
    WallClock::step(kTenYears);
    const std::int64_t later = wall_seconds(), asked = ::time(nullptr);
    WallClock::step(-kTenYears);
    const std::int64_t years = std::chrono::seconds(kTenYears).count();
    CHECK((later - wall >= years && later - wall < years + 60));
    CHECK((asked - wall >= years && asked - wall < years + 60));
    CHECK(wall_seconds() - wall < 60);
    CHECK(shm::system::monotonic_ns() - monotonic_ns < 60'000'000'000);
}

TEST_CASE("Steps of the wall clock make no entry immortal and none dead, and end no lease", "[environment][R9][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    options.lease_time = 1h;
    const StageResult result = play([&] {
        Cache cache = Cache::open(options);
        require(is_stored(cache, "before", "value", for_time(1h)), "no put");
        require(is_stored(cache, "dying", "value", for_time(100ms)), "no put");
        ChildProcess computing = ChildProcess::start([&](Channel& test) {
            Begun begun = cache.begin("computed");
            if (!std::holds_alternative<Lease>(begun)) return 1;
            test.tell('c');
            if (test.hear() != 'f') return 2;
            return cache.fill(std::move(std::get<Lease>(begun)), "value") == PutResult::stored ? 0 : 3;
        });
        require(computing.hear() == 'c', "no lease");
        WallClock::step(-kTenYears);
        require(eventually([&] { return !cache.peek("dying"); }), "an entry became immortal");
        for (const std::chrono::hours step : {2 * kTenYears, -kTenYears, -kTenYears, kTenYears}) {
            WallClock::step(step);
            live_through(cache);
            require(cache.get("before").state() == State::live, "an entry died of a step");
            require(is_busy(cache, "computed"), "a lease ended with a step");
        }
        require(cache.key_use("before").hits == 4, "uses were forgotten");
        computing.tell('f');
        require(computing.wait().exited_with(0), "the lease is lost");
        require(cache.get("computed").value() == "value", "no value");
    });
    CHECK(result.report == "");
}

TEST_CASE("A cache never asks what the wall clock says", "[environment][R9][fork]") {
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        const std::uint64_t before = WallClock::questions();
        Cache cache = Cache::open(small_options(directory.path()));
        live_through(cache);
        cache.get_or_compute("key", [] { return std::optional<std::string>("value"); });
        cache.tend();
        require(WallClock::questions() == before, "it was asked");
    });
    CHECK(result.report == "");
}

namespace {

/// Children of this process are in a time namespace whose clocks are off by so many seconds.
void enter_time_namespace(std::int64_t monotonic_s, std::int64_t boottime_s) {
    if (::unshare(CLONE_NEWTIME) != 0) throw NotHere();
    const std::string offsets =
        "monotonic " + std::to_string(monotonic_s) + " 0\nboottime " + std::to_string(boottime_s) + " 0\n";
    const shm::system::Descriptor file(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
    require(::write(file.number(), offsets.data(), offsets.size()) == static_cast<ssize_t>(offsets.size()),
            "the offsets are refused");
}

}  // namespace

TEST_CASE("A process in another time namespace is not let in, and hurts nobody", "[environment][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        Cache cache = Cache::open(small_options(directory.path()));
        require(is_stored(cache, "key", "value", for_time(1h)), "no put");
        enter_time_namespace(1'000'000, 1'000'000);
        ChildProcess child = ChildProcess::start([&](Channel&) {
            if (cache.get("key") || cache.put("late", "value") == PutResult::stored) return 1;
            if (refused_at([&] { Cache::open(small_options(directory.path())); }) != "namespace") return 2;
            return shm::Segment::attach_read_only(cache.segment_path()).view().header().incarnation != 0 ? 0 : 3;
        });
        require(child.wait().exited_with(0), "a child in another time namespace is let in");
        require(cache.get("key").value() == "value", "its parent lost a value");
    });
    if (!is_skipped(result)) CHECK(result.report == "");
}

TEST_CASE("Within one time namespace a cache lives as anywhere, however its clocks are off", "[environment][fork]") {
    const Watchdog watchdog;
    const std::int64_t up_s = shm::system::monotonic_ns() / 1'000'000'000;
    const std::int64_t monotonic_s =
        GENERATE_COPY(std::int64_t{1'000'000'000}, 5 - up_s);  // thirty years up, or five seconds
    const std::int64_t boottime_s = GENERATE_COPY(std::int64_t{1'000'000'000}, 5 - up_s);
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        enter_time_namespace(monotonic_s, boottime_s);
        ChildProcess inner = ChildProcess::start([&](Channel&) {
            Cache cache = Cache::open(small_options(directory.path()));
            live_through(cache);
            ChildProcess neighbour = ChildProcess::start([&](Channel&) {
                Cache mine = Cache::open(small_options(directory.path()));
                live_through(mine);
                return mine.get("leased").value() == "value" ? 0 : 1;
            });
            return neighbour.wait().exited_with(0) && cache.get("long") ? 0 : 1;
        });
        require(inner.wait().exited_with(0), "it does not live there");
        require(refused_at([&] { Cache::open(small_options(directory.path())); }) == "namespace",
                "who is outside is let in");
    });
    if (!is_skipped(result)) CHECK(result.report == "");
}
