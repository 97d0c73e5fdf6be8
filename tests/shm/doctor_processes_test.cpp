// The doctor's look at processes: who stands still or died in a section, what they keep, and what passes meanwhile.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <variant>

#include "shm/record.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/examined_cache.hpp"

using namespace larder;
using namespace std::chrono_literals;
using shm::Finding;
using shm::Severity;
using test::Channel;
using test::ChildProcess;
using test::ExaminedCache;

namespace {

constexpr const char* kInSection = "put.allocated";  // with the shard half edited

/// Stopped there by a signal.
ChildProcess stopped_writer(ExaminedCache& examined) {
    ChildProcess writer = ChildProcess::start([&](Channel&) {
        shm::testing::arm_crash(kInSection, 1, shm::testing::Death::stop);
        return examined.scoped.cache.put("written", "v") == PutResult::stored ? 0 : 1;
    });
    REQUIRE(writer.wait_for_stop());
    return writer;
}

/// Goes on once it is told to.
ChildProcess waiting_writer(ExaminedCache& examined) {
    ChildProcess writer = ChildProcess::start([&](Channel& test) {
        shm::testing::call_at_crash_point(kInSection, 1, [&test] {
            test.tell('i');
            test.hear();
        });
        return examined.scoped.cache.put("written", "v") == PutResult::stored ? 0 : 1;
    });
    REQUIRE(writer.hear() == 'i');
    return writer;
}

bool names(const std::string& text, const ChildProcess& process) {
    return text.find("process " + std::to_string(process.pid()) + " (") != std::string::npos;
}

std::uint32_t slot_of(const ExaminedCache& examined, pid_t pid) {
    for (std::uint32_t slot = 0; slot < shm::kProcesses; ++slot)
        if (examined.view.process(slot).pid == static_cast<std::uint32_t>(pid)) return slot;
    FAIL("not registered");
    return 0;
}

shm::Word64& used_cell(const ExaminedCache& examined) {
    for (std::uint32_t block = 0; block < shm::kThreadBlocks; ++block)
        for (shm::Word64& cell : examined.view.threads(slot_of(examined, ::getpid()))[block].cells)
            if (cell.load() != 0) return cell;
    throw std::runtime_error("no pin");
}

}  // namespace

TEST_CASE("A writer that was stopped in its section is found with its shard, and a dead one after it", "[doctor]") {
    ExaminedCache examined;
    ChildProcess writer = stopped_writer(examined);
    const std::optional<Finding> stopped = examined.finding("writer_stopped");
    REQUIRE(stopped);
    CHECK(stopped->severity == Severity::error);
    CHECK(names(stopped->what, writer));
    CHECK_THAT(stopped->what, Catch::Contains("was stopped inside a writing section of shard 0"));
    CHECK_THAT(stopped->remedy, Catch::Contains("kill -CONT " + std::to_string(writer.pid())));
    CHECK(examined.scoped.cache.put("other", "v") == PutResult::busy);  // as the remedy says
    CHECK_FALSE(examined.finds("half_edited"));                         // it is known whose work it is
    CHECK_FALSE(examined.finds("dead_writer"));

    writer.kill(SIGKILL);
    REQUIRE(writer.wait().was_killed_by(SIGKILL));
    const std::optional<Finding> dead = examined.finding("dead_writer");
    REQUIRE(dead);
    CHECK(dead->severity == Severity::error);
    CHECK(names(dead->what, writer));
    CHECK_THAT(dead->what, Catch::Contains("died inside a writing section of shard 0, which is half edited"));
    CHECK(examined.finds("dead_processes"));
    CHECK_FALSE(examined.finds("writer_stopped"));
    CHECK_FALSE(examined.finds("half_edited"));
    CHECK(examined.scoped.cache.put("other", "v") == PutResult::stored);  // the next writer empties that shard
    CHECK_FALSE(examined.finds("dead_writer"));
}

TEST_CASE("A writer that is long in its section is a warning, under a debugger an error", "[doctor]") {
    ExaminedCache examined;
    ChildProcess writer = waiting_writer(examined);
    const std::optional<Finding> slow = examined.finding("writer_slow");
    REQUIRE(slow);
    CHECK(slow->severity == Severity::warning);
    CHECK(names(slow->what, writer));
    CHECK_THAT(slow->what, Catch::Contains("has long been inside a writing section of shard 0"));
    if (::ptrace(PTRACE_SEIZE, writer.pid(), nullptr, nullptr) != 0) {
        WARN("skipped: no process may be traced here");
    } else {
        REQUIRE(::ptrace(PTRACE_INTERRUPT, writer.pid(), nullptr, nullptr) == 0);
        REQUIRE(::waitpid(writer.pid(), nullptr, __WALL) == writer.pid());
        CHECK(examined.finds("writer_stopped"));
        REQUIRE(::ptrace(PTRACE_DETACH, writer.pid(), nullptr, nullptr) == 0);
    }
    writer.tell('g');
    CHECK(writer.wait().exited_with(0));
    CHECK_FALSE(examined.finds("writer_slow"));
}

TEST_CASE("Who leaves its section between two looks is not found", "[doctor]") {
    ExaminedCache examined;
    ChildProcess writer = waiting_writer(examined);
    shm::Word64& incarnation = examined.view.process(slot_of(examined, writer.pid())).incarnation;
    const auto finds_any = [&examined] {
        const std::vector<Finding> found = examined.examine();
        return std::any_of(found.begin(), found.end(), [](const Finding& one) {
            return one.name == "writer_slow" || one.name == "writer_stopped" || one.name == "dead_writer";
        });
    };
    CHECK(finds_any());
    examined.between_looks = [&] { incarnation += 1; };  // another process has its slot now, and is in a section, too
    CHECK_FALSE(finds_any());
    examined.between_looks = [&] {
        writer.tell('g');
        CHECK(writer.wait().exited_with(0));
    };
    CHECK_FALSE(finds_any());
    CHECK(examined.waited_ns < 1'000'000'000);
}

TEST_CASE("A process that died in a section before it changed anything left nothing half edited", "[doctor]") {
    ExaminedCache examined;
    ChildProcess writer = ChildProcess::start(
        [&](Channel&) { return examined.scoped.cache.put("written", "v") == PutResult::stored ? 0 : 1; });
    REQUIRE(writer.wait().exited_with(0));
    shm::Word32& inside = examined.view.threads(slot_of(examined, writer.pid()))[0].inside;
    inside = 1;
    CHECK_FALSE(examined.finds("dead_writer"));
    CHECK(examined.finds("dead_processes"));
    inside = 1 + 77;  // damage: of what is outside nothing is read
    CHECK_FALSE(examined.finds("dead_writer"));
    CHECK(examined.finds("pins_damaged"));
}

TEST_CASE("A shard that is half edited by nobody is found unless somebody puts it right meanwhile", "[doctor]") {
    ExaminedCache examined;
    shm::Word32& mutating = examined.view.shard(0).mutating;
    mutating = 1;
    CHECK(examined.finds("half_edited"));
    examined.between_looks = [&mutating] { mutating = 0; };
    CHECK_FALSE(examined.finds("half_edited"));
}

TEST_CASE("A handle is found once it has kept a condemned arena for over 10 s, whatever its record says", "[doctor]") {
    ExaminedCache examined;
    Cache& cache = examined.scoped.cache;
    REQUIRE(cache.put("key:7", "value") == PutResult::stored);
    const Pinned held = cache.get("key:7");
    REQUIRE(held);
    CHECK_FALSE(examined.finds("arena_pinned"));  // it keeps only its own record
    examined.view.shard(0).mutating = 1;          // as a writer leaves it that dies
    REQUIRE(cache.put("key:7", "value") == PutResult::rebuilding);
    CHECK_FALSE(examined.finds("arena_pinned"));
    examined.scoped.clock->advance(11s);
    const auto told = [&examined] {
        const std::optional<Finding> finding = examined.finding("arena_pinned");
        return finding ? finding->what : std::string();
    };
    CHECK_THAT(told(), Catch::Contains("`key:7`") && Catch::Contains("process " + std::to_string(::getpid())));

    shm::Word64& cell = used_cell(examined);
    const std::uint64_t right = cell.load();
    shm::Record& record = *examined.view.at<shm::Record>(right * shm::kUnitBytes);
    const auto key_bytes = std::exchange(record.key_bytes, std::uint16_t{0});
    CHECK_THAT(told(), Catch::Contains("`?`"));
    record.key_bytes = key_bytes;
    cell = examined.view.geometry->arenas_at / shm::kUnitBytes + 4;  // the index's part of the arena
    CHECK_THAT(told(), Catch::Contains("`?`"));
    cell = 1;
    CHECK(told().empty());
    CHECK(examined.finds("pins_damaged"));
    cell = examined.view.geometry->segment_bytes / shm::kUnitBytes;
    CHECK(told().empty());
    cell = ~std::uint64_t{0} / shm::kUnitBytes;
    CHECK(told().empty());
    CHECK(examined.finds("pins_damaged"));
    cell = right;
}

TEST_CASE("A lease is noted once it is late or its holder is dead, with whom it was given to", "[doctor]") {
    ExaminedCache examined;
    Cache& cache = examined.scoped.cache;
    Begun mine = cache.begin("mine");
    REQUIRE(std::holds_alternative<Lease>(mine));
    CHECK_FALSE(examined.finds("late_lease"));
    CHECK_FALSE(examined.finds("dead_lease"));
    examined.scoped.clock->advance(examined.scoped.options.lease_time + 2s);
    const std::optional<Finding> late = examined.finding("late_lease");
    REQUIRE(late);
    CHECK(late->severity == Severity::info);
    CHECK_THAT(late->what, Catch::Contains("process " + std::to_string(::getpid()) + " (") &&
                               Catch::Contains("holds a lease past its deadline"));

    ChildProcess holder = ChildProcess::start([&cache](Channel&) {
        const Begun begun = cache.begin("theirs");
        ::raise(std::holds_alternative<Lease>(begun) ? SIGKILL : SIGTERM);
        return 0;
    });
    REQUIRE(holder.wait().was_killed_by(SIGKILL));
    const std::optional<Finding> dead = examined.finding("dead_lease");
    REQUIRE(dead);
    CHECK(dead->severity == Severity::info);
    CHECK(names(dead->what, holder));
    CHECK_THAT(dead->what, Catch::Contains("left a lease"));

    examined.view.process(slot_of(examined, holder.pid())).incarnation += 1;  // another process has its slot now
    CHECK_THAT(examined.finding("dead_lease").value().what, Catch::StartsWith("A process that ended left a lease"));
    mine = Busy{};  // who has a lease asks for no other
    CHECK(cache.get_or_compute("theirs", [] { return std::optional<std::string>("v"); }).value() == "v");
    CHECK_FALSE(examined.finds("dead_lease"));
}

TEST_CASE("Where process ids mean others, no process is judged", "[doctor]") {
    ExaminedCache examined;
    ChildProcess writer = stopped_writer(examined);
    writer.kill(SIGKILL);
    REQUIRE(writer.wait().was_killed_by(SIGKILL));
    examined.view.header().pid_namespace ^= 1;
    const std::optional<Finding> finding = examined.finding("other_namespace");
    REQUIRE(finding);
    CHECK(finding->severity == Severity::warning);
    CHECK_THAT(finding->what, Catch::Contains("do not see each other's process ids"));
    CHECK_FALSE(examined.finds("dead_writer"));
    CHECK_FALSE(examined.finds("dead_processes"));
}
