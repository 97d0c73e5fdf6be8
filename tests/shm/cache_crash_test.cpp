// Processes killed at every crash point of every kind of writing, and what the others find afterwards.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "shm/inspector.hpp"
#include "shm/testing.hpp"
#include "tests/support/crash_scene.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;
namespace testing = larder::shm::testing;

namespace {

/// All that a process does to a cache, in one shard, so that what the others lose shows. REQUIRES: keys of shard 0.
void write_in_all_ways(CrashScene& scene) {
    Cache& cache = scene.cache;
    const auto key = [&scene](std::uint32_t n) { return scene.scoped.key_in(0, n, "victim:"); };
    const auto put = [&](std::uint32_t n, std::uint64_t version, EntryOptions options = {}) {
        options.tags.push_back("victims");
        cache.put(key(n), proving_value(key(n), version, 600), options);
    };
    for (std::uint32_t n = 0; n < 25; ++n) put(n, 1);   // new; the last ones evict
    for (std::uint32_t n = 0; n < 20; ++n) put(24, n);  // overwritten until a scan frees the old ones
    const Pinned held = cache.get(key(24));
    cache.get(key(0));
    cache.touch(key(24), 60s);
    cache.erase(key(23));
    put(0, 2);
    cache.put(scene.neighbour(), proving_value(scene.neighbour(), 2));
    cache.erase(key(0));  // moves the neighbour to its slot
    EntryOptions brief;
    brief.ttl = 1s;
    for (std::uint32_t n = 0; n < 3; ++n) put(n, 2, brief);
    scene.scoped.clock->advance(2s);
    put(3, 3);  // drops the expired
    cache.invalidate(key(20));
    cache.invalidate_tag("victims");
    cache.invalidate_namespace("victim");
    cache.get_or_compute(key(5), [&]() -> std::optional<std::string> { return proving_value(key(5), 4); });
    cache.get_or_compute(key(6), [&]() -> std::optional<std::string> {
        cache.invalidate(key(6));  // stored for waiters only
        return proving_value(key(6), 5);
    });
    Begun begun = cache.begin(key(7));
    if (std::holds_alternative<Lease>(begun)) cache.abandon(std::move(std::get<Lease>(begun)));
    scene.scoped.clock->advance(2s);
    for (std::uint32_t i = 0; i < scene.scoped.view().geometry->directory_slots / 2; ++i)
        cache.tend();  // finds the fenced
}

struct Crash {
    std::string point;
    std::uint64_t count = 1;
};

/// Every crash point that write_in_all_ways reaches, each the first three times, in the middle and near the end: how
/// often memory is given back depends on the clock.
std::vector<Crash> crashes_of(void (*writing)(CrashScene&)) {
    std::vector<Crash> crashes;
    std::string names;
    const std::string wrong = CrashScene::run([&](CrashScene& scene, std::string& report) {
        testing::record_crash_points();
        writing(scene);
        for (const testing::SeenCrashPoint& seen : testing::crash_points_seen())
            for (const std::uint64_t count : std::set<std::uint64_t>{
                     1, std::min<std::uint64_t>(2, seen.times), std::min<std::uint64_t>(3, seen.times),
                     (seen.times + 1) / 2, seen.times - seen.times / 16})
                report += seen.name + " " + std::to_string(count) + "\n";
        return true;
    });
    std::string::size_type at = 0;
    for (std::string::size_type end; (end = wrong.find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string line = wrong.substr(at, end - at);
        const std::string::size_type space = line.find(' ');
        crashes.push_back({line.substr(0, space), std::stoull(line.substr(space + 1))});
    }
    return crashes;
}

}  // namespace

TEST_CASE("A process killed at any crash point leaves the others a working cache", "[R2][crash][fork]") {
    const Watchdog watchdog(600);
    const std::vector<Crash> crashes = crashes_of(&write_in_all_ways);
    REQUIRE(crashes.size() > 60);
    std::set<std::string> points;
    for (const Crash& crash : crashes) {
        points.insert(crash.point);
        INFO(crash.point << " for the " << crash.count << "th time");
        CHECK(CrashScene::run([&](CrashScene& scene, std::string& report) {
                  const bool died = scene.kill_at(crash.point, crash.count, &write_in_all_ways);
                  if (!died) report = "it was not reached";
                  return died && scene.is_whole(report);
              }) == "");
    }
    for (const char* needed : {"put.allocated",      "put.reserved",       "put.filled",
                               "put.linking",        "put.indexed",        "put.linked",
                               "unlink.directory",   "directory.moving",   "directory.shifted",
                               "directory.unlinked", "unlink.index",       "retire.linked",
                               "retire.last",        "reclaim.first",      "reclaim.unlisted",
                               "retire.listed",      "reclaim.one",        "fences.raise",
                               "fences.applied",     "key_table.add.free", "key_table.advance.ring",
                               "lease.grant.held",   "lease.finish.state", "lease.release.before_wake"}) {
        INFO(needed);
        CHECK(points.count(needed) == 1);
    }
}

TEST_CASE("A process killed while it registers or opens leaves the others a working cache", "[R2][crash][fork]") {
    const Watchdog watchdog(300);
    const auto open = [](CrashScene& scene) {  // in a forked child: the first call registers it
        scene.cache.get("page:1");
        Cache::open(scene.scoped.options).get("page:1");
    };
    const std::vector<Crash> crashes = crashes_of([](CrashScene& scene) {
        ChildProcess child = ChildProcess::start([&](Channel& parent) {
            testing::record_crash_points();
            scene.cache.get("page:1");
            for (const testing::SeenCrashPoint& seen : testing::crash_points_seen())
                parent.tell_bytes((seen.name + "\n").data(), seen.name.size() + 1);
            return 0;
        });
        for (std::string name; char byte = child.hear();) {
            if (byte != '\n') {
                name += byte;
                continue;
            }
            testing::reach_crash_point(name.c_str());
            name.clear();
        }
    });
    REQUIRE(crashes.size() >= 4);
    for (const Crash& crash : crashes) {
        INFO(crash.point);
        CHECK(CrashScene::run([&](CrashScene& scene, std::string& report) {
                  const bool died = scene.kill_at(crash.point, 1, open);
                  if (!died) report = "it was not reached";
                  return died && scene.is_whole(report);
              }) == "");
    }
}

TEST_CASE("A process killed while it makes a cache leaves none, or a whole one", "[R2][crash][fork]") {
    const Watchdog watchdog;
    for (const char* point : {"segment.allocated", "arena.nodes", "arena.records", "segment.formatted",
                              "segment.linked", "registry.claiming", "registry.live"}) {
        INFO(point);
        CHECK(CrashScene::run([&](CrashScene& scene, std::string& report) {
                  Options options = scene.scoped.options;
                  options.name = "another";
                  ChildProcess maker = ChildProcess::start([&](Channel&) {
                      testing::arm_crash(point);
                      Cache::open(options);
                      return 0;
                  });
                  if (!maker.wait().was_killed_by(SIGKILL)) return report = "it was not reached", false;
                  Cache cache = Cache::open(options);
                  if (cache.put("key", "value") != PutResult::stored) return report = "no put", false;
                  return cache.get("key").value() == "value" ? true : (report = "no get", false);
              }) == "");
    }
}

TEST_CASE("A process killed while it cleans up after another is followed by one that does", "[R2][R15][crash][fork]") {
    const Watchdog watchdog(300);
    for (const char* point : {"registry.seized", "registry.reaping", "registry.block", "registry.reaped",
                              "registry.nameless", "registry.free", "registry.dropped"}) {
        INFO(point);
        CHECK(CrashScene::run([&](CrashScene& scene, std::string& report) {
                  const auto clean_up = [point](CrashScene& one) {
                      testing::disarm_crash();
                      const Pinned pinned = one.cache.get(one.resident(1, 0));  // with a slot of its own
                      const auto die_with_a_pin = [&one](Channel&) {
                          const Pinned kept = one.cache.get(one.resident(2, 0));
                          return ::kill(::getpid(), SIGKILL);
                      };
                      if (!ChildProcess::start(die_with_a_pin).wait().was_killed_by(SIGKILL)) return;
                      testing::arm_crash(point);
                      one.cache.tend();
                  };
                  if (!scene.kill_at(point, 1, clean_up)) return report = "it was not reached", false;
                  scene.cache.tend();
                  if (shm::read_processes(scene.scoped.view()).size() != 1) return report = "a slot is kept", false;
                  return scene.is_whole(report);
              }) == "");
    }
}

TEST_CASE("A process killed while it rebuilds a shard is followed by another that rebuilds it", "[R2][crash][fork]") {
    const Watchdog watchdog(300);
    const std::string first = GENERATE("put.linking", "put.indexed", "retire.listed", "reclaim.one");
    for (const char* second :
         {"directory.clear.slot", "directory.clear.moves", "rebuild.cleared", "rebuild.reset", "rebuild.taken",
          "arena.nodes", "arena.records", "rebuild.formatted", "rebuild.condemned", "rebuild.moved"}) {
        for (const char* third : {second, "rebuild.cleared", "rebuild.reset"}) {
            INFO(first << ", " << second << ", " << third);
            CHECK(CrashScene::run([&](CrashScene& scene, std::string& report) {
                      const auto put = [](CrashScene& one) {
                          const std::string key = one.scoped.key_in(0, 0, "victim:");
                          one.cache.put(key, proving_value(key, 1));
                      };
                      if (!scene.kill_at(first, 1, &write_in_all_ways)) return report = "no first death", false;
                      if (!scene.kill_at(second, 1, put)) return report = "no second death", false;
                      if (!scene.kill_at(third, 1, put)) return report = "no third death", false;
                      scene.count_deaths_as_one();
                      return scene.is_whole(report);
                  }) == "");
        }
    }
}
