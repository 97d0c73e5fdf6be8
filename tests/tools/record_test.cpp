// larder record: what is asked of a cache, seen by its counts.
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <map>
#include <string>

#include "shm/key_table.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/use_recorder.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using tools::UseRecorder;
using tools::Uses;

namespace {

std::string key_of(int n) { return "key:" + std::to_string(n); }

/// Uses by hash.
std::map<std::uint64_t, Uses> poll(UseRecorder& recorder, const ScopedCache& scoped) {
    std::map<std::uint64_t, Uses> all;
    for (const Uses& uses : recorder.poll(scoped.clock->now_ns())) all[uses.key_hash] = uses;
    return all;
}

}  // namespace

TEST_CASE("Each use of a key is recorded once, with the size of its value", "[record]") {
    ScopedCache scoped;
    scoped.cache.put("a", "four");
    scoped.cache.get("a");
    scoped.cache.get("a");
    const shm::SegmentView view = scoped.view();
    UseRecorder recorder(view, 1);
    CHECK(recorder.keys() == 1);
    CHECK(poll(recorder, scoped).empty());  // what was before is not recorded
    for (int n = 0; n < 3; ++n) scoped.cache.get("a");
    const auto uses = poll(recorder, scoped);
    REQUIRE(uses.size() == 1);
    CHECK(uses.at(scoped.hash("a")).times == 3);
    CHECK(uses.at(scoped.hash("a")).value_bytes == 4);
    CHECK(poll(recorder, scoped).empty());
}

TEST_CASE("A key that comes while it is recorded is recorded from its first use", "[record]") {
    ScopedCache scoped;
    const shm::SegmentView view = scoped.view();
    UseRecorder recorder(view, 1);
    for (int n = 0; n < 20; ++n) {
        scoped.cache.put(key_of(n), "value");
        for (int times = 0; times <= n; ++times) scoped.cache.get(key_of(n));
    }
    std::map<std::uint64_t, std::uint64_t> times;
    for (int polls = 0; polls < 66; ++polls)
        for (const auto& [hash, uses] : poll(recorder, scoped)) times[hash] += uses.times;
    CHECK(recorder.keys() == 20);
    for (int n = 0; n < 20; ++n) CHECK(times[scoped.hash(key_of(n))] == static_cast<std::uint64_t>(n + 1));
}

TEST_CASE("One key in four is recorded, with all of its uses", "[record]") {
    ScopedCache scoped;
    constexpr int kAll = 1'200;
    for (int n = 0; n < kAll; ++n) {
        scoped.cache.put(key_of(n), "v");
        scoped.cache.get(key_of(n));
    }
    const shm::SegmentView view = scoped.view();
    UseRecorder recorder(view, 4);
    CHECK(recorder.keys() > kAll / 4 * 2 / 3);
    CHECK(recorder.keys() < kAll / 4 * 4 / 3);
    for (int round = 0; round < 2; ++round)
        for (int n = 0; n < kAll; ++n) scoped.cache.get(key_of(n));
    const auto uses = poll(recorder, scoped);
    CHECK(uses.size() == recorder.keys());
    for (const auto& [hash, use] : uses) CHECK(use.times == 2);
}

TEST_CASE("A key that was given another key's entry is not credited with what that one was asked", "[record]") {
    Options options;
    options.tracked_keys = 16;
    ScopedCache scoped(options);
    for (int n = 0; n < 400; ++n) {
        scoped.cache.put(key_of(n), "v");
        for (int times = 0; times < 50; ++times) scoped.cache.get(key_of(n));
    }
    const shm::SegmentView view = scoped.view();
    UseRecorder recorder(view, 2);
    for (int polls = 0; polls < 66; ++polls) poll(recorder, scoped);
    scoped.clock->advance(49h);
    std::map<std::uint64_t, std::uint64_t> times;
    for (int n = 1'000; n < 1'400; ++n) {
        scoped.cache.put(key_of(n), "v");
        scoped.cache.get(key_of(n));
        for (const auto& [hash, uses] : poll(recorder, scoped)) times[hash] += uses.times;
    }
    for (int polls = 0; polls < 66; ++polls)
        for (const auto& [hash, uses] : poll(recorder, scoped)) times[hash] += uses.times;
    CHECK_FALSE(times.empty());
    for (const auto& [hash, uses] : times) CHECK(uses <= 2);
}

TEST_CASE("A recording is a trace that advise reads", "[record][cli]") {
    const ScopedDirectory directory;
    const std::string trace = directory.file("trace.csv");
    Options options;
    options.directory = directory.file("cache");
    options.size_bytes = 16ULL << 20;
    ChildProcess user = ChildProcess::start([&](Channel& parent) {
        Cache cache = Cache::open(options);
        for (int n = 0; n < 100; ++n) cache.put(key_of(n), std::string(1'000, 'v'));
        parent.tell('r');
        while (parent.hear(1ms) == 0)
            for (int n = 0; n < 100; ++n) cache.get(key_of(n));
        return 0;
    });
    REQUIRE(user.hear() == 'r');
    const CommandResult recorded = run_larder(
        options.directory, {"record", "--output", trace, "--time", "400ms", "--every", "20ms", "--sample", "2"});
    CHECK(recorded.code == 0);
    CHECK_THAT(recorded.err, Catch::Contains("of one key in 2: larder advise " + trace + " --sampled 2"));
    user.tell('e');
    const CommandResult advice = run_larder(options.directory, {"advise", trace, "--sampled", "2", "--json"});
    REQUIRE(advice.code == 0);
    CHECK(advice.json().at("keys").to_number<int>() > 60);
    CHECK(advice.json().at("keys").to_number<int>() < 140);
    CHECK(advice.json().at("most").to_number<double>() > 0.5);
    // All are asked alike: half of them hit half of the time, in whatever order the hundredth of a second put them.
    const CommandResult half =
        run_larder(options.directory, {"advise", trace, "--sampled", "2", "--hit-ratio", "0.4", "--json"});
    REQUIRE(half.code == 0);
    CHECK(half.json().at("advice").at("entries").to_number<int>() > 20);
}

TEST_CASE("Nothing to record is told by the exit code", "[record][cli]") {
    const ScopedDirectory directory;
    Options options;
    options.directory = directory.file("cache");
    options.size_bytes = 16ULL << 20;
    ChildProcess maker = ChildProcess::start([&](Channel&) {
        Cache::open(options);
        return 0;
    });
    REQUIRE(maker.wait().exited_with(0));
    const std::string trace = directory.file("trace.csv");
    CHECK(run_larder(options.directory, {"record", "--output", trace, "--time", "30ms"}).code == 1);
    CHECK(run_larder(options.directory, {"record", "--output", trace, "--sample", "0"}).code == 2);
    CHECK(run_larder(options.directory, {"record", "--output", "/nonexistent/trace", "--time", "30ms"}).code == 3);
    CHECK(run_larder(directory.path(), {"record", "--output", trace, "--time", "30ms"}).code == 1);
}
