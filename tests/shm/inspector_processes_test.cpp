// What the inspector says about processes that are gone, unreadable, reused, or making a shard anew.
#include <signal.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>

#include "shm/system.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/examined_cache.hpp"

using namespace larder;
using shm::ProcessFacts;
using test::Channel;
using test::ChildProcess;
using test::ExaminedCache;

namespace {

ProcessFacts facts_of(const ExaminedCache& examined, pid_t pid) {
    for (const ProcessFacts& facts : shm::read_processes(examined.scoped.view()))
        if (facts.pid == static_cast<std::uint32_t>(pid)) return facts;
    FAIL("not registered");
    return {};
}

}  // namespace

TEST_CASE("A process is alive by its pid and start time, and as long as it cannot be told otherwise", "[inspector]") {
    ExaminedCache examined;
    ChildProcess other = ChildProcess::start([&examined](Channel& test) {
        examined.scoped.cache.put("k", "v");
        test.tell('p');
        return test.hear() == 'e' ? 0 : 1;
    });
    REQUIRE(other.hear() == 'p');
    const ProcessFacts facts = facts_of(examined, other.pid());
    CHECK(facts.alive);
    shm::Word64& start_ticks = examined.view.process(facts.slot).start_ticks;
    start_ticks += 1;  // the pid of another process by now
    CHECK_FALSE(facts_of(examined, other.pid()).alive);
    start_ticks -= 1;
    other.tell('e');
    REQUIRE(other.wait_for_zombie());
    CHECK_FALSE(facts_of(examined, other.pid()).alive);
    REQUIRE(other.wait().exited_with(0));
    CHECK_FALSE(facts_of(examined, other.pid()).alive);
    shm::system::fail_nth(shm::system::Call::read_file, 1, EACCES, true);
    CHECK(facts_of(examined, other.pid()).alive);
    shm::system::fail_nothing();
}

TEST_CASE("A process that is making a shard anew is seen at it", "[inspector]") {
    ExaminedCache examined;
    examined.scoped.cache.put("k", "v");
    examined.view.shard(0).mutating = 1;  // as a writer leaves it that dies
    ChildProcess writer = ChildProcess::start([&examined](Channel&) {
        shm::testing::arm_crash("rebuild.cleared", 1, shm::testing::Death::stop);
        return examined.scoped.cache.put("another", "v") == PutResult::stored ? 0 : 1;
    });
    REQUIRE(writer.wait_for_stop());
    const ProcessFacts rebuilding = facts_of(examined, writer.pid());
    CHECK(rebuilding.inside == 0);
    CHECK(rebuilding.rebuilding);
    writer.kill(SIGCONT);
    CHECK(writer.wait().exited_with(0));
    CHECK_FALSE(facts_of(examined, writer.pid()).inside.has_value());
}

TEST_CASE("What a cache serves is read once it is said", "[inspector]") {
    ExaminedCache examined;
    CHECK(shm::read_identity(examined.scoped.view()).empty());
    Options options;
    options.identity = "school.db";
    const ExaminedCache school(options);
    CHECK(shm::read_identity(school.scoped.view()) == "school.db");
}
