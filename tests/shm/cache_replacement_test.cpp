// A cache whose segment is replaced under its processes: no notice is lost, nothing old comes back, nobody waits.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shm/cache_impl.hpp"
#include "shm/inspector.hpp"
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
using Value = std::optional<std::string>;

namespace {

/// By the machine's clock, as segments are replaced.
struct Scene : ScopedCache {
    Scene() : ScopedCache(real_clock()) {}
    static Options real_clock() {
        struct Coarse : Clock {
            std::int64_t now_ns() override { return shm::system::coarse_ns(); }
        };
        Options options;
        options.clock = std::make_shared<Coarse>();
        return options;
    }
    shm::Location location() const { return shm::locate(options.directory, options.name, false); }
    Cache replace() const {
        shm::remove_cache(location());
        return Cache::open(options);
    }
};

std::string text_of(const Pinned& pinned) { return std::string(pinned.value()); }

}  // namespace

TEST_CASE("What was read before a change is not kept in a new segment, though its notice went to the old one",
          "[replacement][fork]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "old") == PutResult::stored);
    REQUIRE(scene.cache.get("key"));
    ChildProcess other = ChildProcess::start([&](Channel& parent) {
        Cache cache = scene.replace();
        EntryOptions read;
        read.as_of = cache.stamp();
        parent.tell('r');  // the source is read
        if (parent.hear() != 'n') return 1;
        pass(300ms);
        return cache.put("key", "read before the change", read) == PutResult::fenced ? 0 : 2;
    });
    REQUIRE(other.hear() == 'r');
    CHECK(scene.cache.invalidate("key") != 0);
    other.tell('n');
    CHECK(other.wait().exited_with(0));
    CHECK(text_of(scene.cache.get("key")).empty());
}

TEST_CASE("A stamp of a segment that is not open yet keeps nothing, also once it is open", "[replacement]") {
    Scene scene;
    Cache cache = scene.replace();
    EntryOptions read;
    read.as_of = cache.stamp();
    pass(300ms);
    CHECK(cache.put("key", "read early", read) == PutResult::fenced);
    CHECK(cache.put("key", "read in time") == PutResult::stored);
}

TEST_CASE("A notice is said again where everybody looks by the time it is done", "[replacement][fork]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "old") == PutResult::stored);
    ChildProcess other = ChildProcess::start([&](Channel& parent) {
        if (parent.hear() != 'g') return 1;
        Cache cache = scene.replace();
        pass(300ms);
        if (cache.put("key", "read before the change") != PutResult::stored) return 2;
        parent.tell('s');
        return parent.hear() == 'e' ? 0 : 3;
    });
    REQUIRE(scene.cache.get("key"));
    testing::call_at_crash_point("fences.raise", 1, [&] {  // stopped for that long between its look and its notice
        other.tell('g');
        other.hear();
    });
    CHECK(scene.cache.invalidate("key") != 0);
    CHECK(text_of(scene.cache.get("key")).empty());
    other.tell('e');
    CHECK(other.wait().exited_with(0));
}

TEST_CASE("Who replaces a segment that was unlinked says ok when nobody serves from it any more",
          "[replacement][fork]") {
    const Watchdog watchdog;
    const bool has_it_mapped = GENERATE(true, false);
    Scene scene;
    REQUIRE(scene.cache.put("key", "old") == PutResult::stored);
    ChildProcess other = ChildProcess::start([&](Channel& parent) {
        if (has_it_mapped) scene.cache.get("another");
        if (parent.hear() != 'g') return 1;
        Cache cache = Cache::open(scene.options);
        if (cache.invalidate("key") == 0) return 2;
        parent.tell('n');
        return parent.hear() == 'e' ? 0 : 3;
    });
    pass(60ms);
    REQUIRE(scene.cache.get("key"));
    REQUIRE(::unlink(scene.cache.segment_path().c_str()) == 0);
    other.tell('g');
    REQUIRE(other.hear() == 'n');
    CHECK(text_of(scene.cache.get("key")).empty());
    other.tell('e');
    CHECK(other.wait().exited_with(0));
}

TEST_CASE("What the dead left in a segment is cleaned only while its name leads to it", "[replacement][fork]") {
    const Watchdog watchdog;
    enum class Name : std::uint8_t { is_its_own, is_gone, is_anothers };
    const Name name = GENERATE(Name::is_its_own, Name::is_gone, Name::is_anothers);
    Scene scene;
    shm::Mapping& mapping = *shm::Mapping::open(scene.options, nullptr);
    REQUIRE(scene.cache.put("key", "value") == PutResult::stored);
    ChildProcess reader = ChildProcess::start([&](Channel& parent) {
        const Pinned held = scene.cache.get("key");
        parent.tell(held ? 'h' : 'm');
        return parent.hear() == 'e' ? 0 : 1;
    });
    REQUIRE(reader.hear() == 'h');
    reader.kill(SIGKILL);
    REQUIRE(reader.wait().was_killed_by(SIGKILL));
    if (name != Name::is_its_own) REQUIRE(::unlink(scene.cache.segment_path().c_str()) == 0);
    if (name == Name::is_anothers) {  // of another process: this one has not heard of it
        const auto replace = [&](Channel&) { return Cache::open(scene.options).segment_path().empty() ? 1 : 0; };
        REQUIRE(ChildProcess::start(replace).wait().exited_with(0));
    }
    const std::uint32_t cleaned = name == Name::is_its_own ? 1 : 0;
    CHECK(mapping.reap_some(shm::kProcesses) == cleaned);
    CHECK(shm::read_processes(mapping.view()).size() == 2 - cleaned);
    CHECK(shm::PinScan(mapping.view(), shm::Registry(mapping.view(), nullptr)).count() == 1 - cleaned);
}

TEST_CASE("A waiter takes nothing out of a segment that was closed", "[replacement][fork]") {
    const Watchdog watchdog;
    Scene scene;
    ChildProcess holder = ChildProcess::start([&](Channel& parent) {
        const Pinned got = scene.cache.get_or_compute("key", [&]() -> Value {
            parent.tell('r');
            return parent.hear() == 'f' ? "read before the change" : "";
        });
        return got ? 0 : 1;
    });
    REQUIRE(holder.hear() == 'r');
    REQUIRE_FALSE(scene.cache.get("another"));  // a fresh look at the name
    ChildProcess replacer = ChildProcess::start([&](Channel& parent) {
        Cache cache = scene.replace();
        parent.tell(cache.invalidate("key") != 0 ? 'n' : '0');
        return parent.hear() == 'e' ? 0 : 1;
    });
    REQUIRE(replacer.hear() == 'n');
    holder.tell('f');
    CHECK(text_of(scene.cache.get_or_compute("key", []() -> Value { return "read after it"; })) == "read after it");
    replacer.tell('e');
    CHECK(holder.wait().exited_with(0));
    CHECK(replacer.wait().exited_with(0));
}

TEST_CASE("A lookup does not wait for a process that stands still while it replaces the segment",
          "[R4][replacement][fork]") {
    const Watchdog watchdog;
    Scene scene;
    REQUIRE(scene.cache.put("key", "value") == PutResult::stored);
    ChildProcess replacer = ChildProcess::start([&](Channel&) {
        testing::arm_crash("replacement.closed", 1, testing::Death::stop);
        shm::remove_cache(scene.location());
        return 0;
    });
    REQUIRE(replacer.wait_for_stop());
    pass(60ms);
    const std::int64_t before_ns = shm::system::monotonic_ns();
    for (int i = 0; i < 3; ++i) CHECK_FALSE(scene.cache.get("key"));
    // Not a speed: with a wait it would be 2 s for each.
    CHECK(shm::system::monotonic_ns() - before_ns < 1'500'000'000);
    replacer.kill(SIGCONT);
    CHECK(replacer.wait().exited_with(0));
}

TEST_CASE("A segment whose name comes back is attached to once", "[replacement]") {
    Scene scene;
    REQUIRE(scene.cache.put("key", "value") == PutResult::stored);
    Options looking = scene.options;
    looking.create = false;
    Cache cache = Cache::open(looking);
    const std::string path = scene.cache.segment_path(), away = path + ".away";
    pass(60ms);
    REQUIRE(std::rename(path.c_str(), away.c_str()) == 0);
    CHECK_FALSE(cache.get("key"));
    REQUIRE(std::rename(away.c_str(), path.c_str()) == 0);
    pass(120ms);
    CHECK(text_of(cache.get("key")) == "value");
    CHECK(text_of(cache.get("key")) == "value");
}

TEST_CASE("A lookup makes no segment, a put does", "[replacement]") {
    Scene scene;
    shm::remove_cache(scene.location());
    pass(60ms);
    struct stat status {};
    CHECK_FALSE(scene.cache.get("key"));
    CHECK(::stat(scene.cache.segment_path().c_str(), &status) != 0);
    scene.cache.put("key", "value");
    CHECK(::stat(scene.cache.segment_path().c_str(), &status) == 0);
}

TEST_CASE("A lease of a replaced segment is given back there", "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    std::atomic<bool> computing{false}, may_end{false};
    std::thread holder([&] {
        try {
            scene.cache.get_or_compute("key", [&]() -> Value {
                computing = true;
                eventually([&] { return may_end.load(); });
                throw std::runtime_error("the source is away");
            });
        } catch (const std::runtime_error&) {
            return;
        }
    });
    REQUIRE(eventually([&] { return computing.load(); }));
    const shm::SegmentView old = scene.view();
    Cache successor = scene.replace();
    pass(60ms);
    scene.cache.get("another");  // this thread attaches to the successor
    may_end = true;
    holder.join();
    int held = 0;
    for (const shm::LeaseFacts& lease : shm::read_leases(old)) held += lease.state == shm::LeaseState::held ? 1 : 0;
    CHECK(held == 0);
}

TEST_CASE("While a new segment is closed computations of one key follow each other", "[replacement]") {
    const Watchdog watchdog;
    Scene scene;
    Cache cache = scene.replace();
    std::atomic<int> now{0}, most{0};
    const auto compute = [&]() -> Value {
        most = std::max(most.load(), ++now);
        pass(20ms);
        --now;
        return "value";
    };
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] {
            for (int n = 0; n < 4; ++n) CHECK(cache.get_or_compute("key", compute));
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(most == 1);
}

TEST_CASE("A relative directory stays where it was when the process goes elsewhere", "[replacement]") {
    Scene scene;
    const ScopedDirectory elsewhere;
    char before[4096];
    REQUIRE(::getcwd(before, sizeof before) != nullptr);
    REQUIRE(::chdir(scene.options.directory.c_str()) == 0);
    Options options = scene.options;
    options.directory = std::string(".");
    Cache cache = Cache::open(options);
    CHECK(cache.put("key", "value") == PutResult::stored);
    REQUIRE(::chdir(elsewhere.path().c_str()) == 0);
    pass(60ms);
    CHECK(text_of(cache.get("key")) == "value");
    CHECK(text_of(scene.cache.get("key")) == "value");
    REQUIRE(::chdir(before) == 0);
}

TEST_CASE("A suspend is announced although the first to see it dies", "[replacement][crash][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "from before") == PutResult::stored);
    shm::Mapping::open(scoped.options, nullptr)->view().header().suspended_ns.fetch_sub(3'600'000'000'000);
    ChildProcess first = ChildProcess::start([&](Channel&) {
        testing::arm_crash("fences.raise");
        scoped.cache.tend();
        return 0;
    });
    REQUIRE(first.wait().was_killed_by(SIGKILL));
    scoped.cache.tend();
    CHECK_FALSE(scoped.cache.get("key"));
    const Stamp after = scoped.cache.stamp();
    scoped.cache.tend();
    CHECK(scoped.cache.stamp().notice == after.notice);
}

TEST_CASE("Overtaking a key is heard also where an announcer died before it said so", "[crash][fork]") {
    ScopedCache scoped;
    Cache& cache = scoped.cache;
    REQUIRE(cache.put("key", "old") == PutResult::stored);
    REQUIRE(cache.get("key"));
    const Stamp before = cache.stamp();
    ChildProcess announcer = ChildProcess::start([&](Channel&) {
        testing::arm_crash("fences.applied");
        cache.invalidate("key");
        return 0;
    });
    REQUIRE(announcer.wait().was_killed_by(SIGKILL));
    EntryOptions late;
    late.as_of = before;
    REQUIRE(cache.put("key", "new", late) == PutResult::fenced);
    CHECK_FALSE(cache.get("key"));
}
