#include "shm/segment.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <limits>

#include "shm/counters.hpp"
#include "shm/process.hpp"
#include "shm/replacement.hpp"
#include "shm/robust_mutex.hpp"
#include "shm/signature.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/skipped.hpp"

using namespace larder;
using namespace larder::shm;
using test::Channel;
using test::ChildProcess;
using test::location_of;
using test::refused_at;
using test::ScopedDirectory;
using test::small_options;

namespace {

/// A segment that is there, with its location.
struct Made {
    ScopedDirectory directory;
    Location location = location_of(directory);
    std::unique_ptr<Segment> segment = Segment::create(location, small_options(directory.path()), nullptr, nullptr);
    SegmentHeader& header() { return segment->view().header(); }
    std::string refused() {
        return refused_at([&] { Segment::attach(location); });
    }
};

bool is_empty(const ScopedDirectory& directory) { return std::filesystem::is_empty(directory.path()); }

}  // namespace

TEST_CASE("a segment can be made in any memory") {
    const Geometry geometry = plan_geometry(small_options("unused"));
    const std::unique_ptr<char, decltype(&::free)> memory(
        static_cast<char*>(::aligned_alloc(kPageBytes, geometry.segment_bytes)), &::free);
    std::memset(memory.get(), 0, geometry.segment_bytes);
    Birth birth;
    birth.incarnation = 42;
    birth.identity = "db";
    static std::uint32_t formatted = 0;
    const FormatArenas format = [](const SegmentView& view) { formatted += view.geometry->arenas; };
    const SegmentView view = format_segment(reinterpret_cast<std::byte*>(memory.get()), geometry, birth, format);
    CHECK(formatted == 1);
    CHECK(view.header().magic == kMagic);
    CHECK(view.header().incarnation == 42);
    CHECK(view.header().last_sync_ns == kNeverSynced);
    CHECK(view.header().fresh_for_ns == std::numeric_limits<std::int64_t>::max());
    CHECK(std::string(view.header().identity) == "db");
    CHECK(std::string(view.header().labels[0].name) == kCounterTable[0].name);
    CHECK(arena_kind(view.arena_state(0).word) == ArenaKind::owned);
    for (std::uint32_t group = 0; group < kLeaseLocks; ++group) {
        REQUIRE(robust_mutex::acquire(view.leases(group).mutex, std::chrono::seconds(0)) ==
                robust_mutex::Acquired::locked);
        robust_mutex::release(view.leases(group).mutex);
    }
}

TEST_CASE("each arena of a new segment has its shard, the last is spare") {
    Options options = small_options("unused");
    options.size_bytes = 128ULL << 20;
    options.shards = 8;
    options.in_memory = true;
    const Segment segment = Segment::create_in_memory(options, nullptr);
    const SegmentView& view = segment.view();
    for (std::uint32_t shard = 0; shard < 8; ++shard) {
        CHECK(view.shard(shard).arena == shard);
        CHECK(view.arena_state(shard).word == arena_state(ArenaKind::owned, shard, 0));
    }
    CHECK(arena_kind(view.arena_state(8).word) == ArenaKind::spare);
}

TEST_CASE("who attaches sees what the maker made, in a file of mode 0600", "[R13]") {
    Made made;
    REQUIRE(made.segment != nullptr);
    struct stat status {};
    REQUIRE(::stat(made.location.segment_path().c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(static_cast<std::uint64_t>(status.st_size) == made.segment->view().bytes);
    const auto other = Segment::attach(made.location);
    REQUIRE(other != nullptr);
    CHECK(other->view().base != made.segment->view().base);
    CHECK(other->file() == made.segment->file());
    made.header().notice_number = 17;
    CHECK(other->view().header().notice_number == 17);
    CHECK(made.header().incarnation != 0);
    CHECK(made.header().hash_seed != 0);
}

TEST_CASE("an absent segment is no error for who may make it") {
    const ScopedDirectory directory;
    CHECK(Segment::attach(location_of(directory)) == nullptr);
    CHECK(refused_at([&] { Segment::attach_read_only(directory.file("none.seg")); }) == "attach");
}

TEST_CASE("a name that is taken is left alone") {
    Made made;
    CHECK(Segment::create(made.location, small_options("unused"), nullptr, nullptr) == nullptr);
    CHECK(Segment::attach(made.location)->view().header().incarnation == made.header().incarnation);
}

TEST_CASE("a maker that is killed leaves nothing, or a complete segment") {
    for (const char* point : {"segment.allocated", "segment.formatted", "segment.linked"}) {
        const ScopedDirectory directory;
        const Location location = location_of(directory);
        auto child = ChildProcess::start([&](Channel&) {
            testing::arm_crash(point);
            Segment::create(location, small_options("unused"), nullptr, nullptr);
            return 0;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
        INFO(point);
        if (std::string(point) == "segment.linked")
            CHECK(Segment::attach(location) != nullptr);
        else
            CHECK(is_empty(directory));
    }
}

TEST_CASE("a maker whose system calls fail says so and leaves nothing") {
    using system::Call;
    const ScopedDirectory directory;
    const Location location = location_of(directory);
    int failures = 0;
    for (const Call call : {Call::temporary_file, Call::change_mode, Call::status, Call::allocate, Call::map,
                            Call::random, Call::read_file, Call::link}) {
        for (std::uint64_t n = 1; n < 20; ++n) {
            system::fail_nth(call, n, EIO);
            const std::string stage =
                refused_at([&] { Segment::create(location, small_options("unused"), nullptr, nullptr); });
            system::fail_nothing();
            if (stage.empty()) break;
            ++failures;
            CHECK(is_empty(directory));
        }
        std::filesystem::remove(location.segment_path());
    }
    CHECK(failures >= 10);
}

TEST_CASE("a full file system is an error with numbers, not a signal", "[R7]") {
    const ScopedDirectory directory;
    const auto reason = [&](const Location& location) {
        try {
            Segment::create(location, small_options("unused"), nullptr, nullptr);
        } catch (const OpenError& error) {
            CHECK(error.stage == "create");
            return error.reason;
        }
        return std::string();
    };
    const Location here = location_of(directory);
    for (const std::uint64_t unknown : {9, 2}) {  // what was had is told where it can be asked for
        system::fail_nth(system::Call::allocate, 1, ENOSPC);
        system::fail_nth(system::Call::status, unknown, EIO);
        CHECK_THAT(reason(here), Catch::Contains("needs 10 MiB"));
        system::fail_nothing();
    }
    if (::mount("none", directory.path().c_str(), "tmpfs", 0, "size=4m,mode=0700") != 0) {
        WARN(test::kNeedsRoot);
        return;
    }
    CHECK_THAT(reason(location_of(directory)), Catch::Contains("needs 10 MiB") && Catch::Contains("4 MiB free"));
    CHECK(is_empty(directory));
    ::umount(directory.path().c_str());
}

TEST_CASE("a file larger than its process may make is refused, before a signal ends it", "[R7]") {
    const ScopedDirectory directory;
    auto child = ChildProcess::start([&](Channel&) {
        const rlimit limit{4 << 20, 4 << 20};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        const auto make = [&] { Segment::create(location_of(directory), small_options("unused"), nullptr, nullptr); };
        return refused_at(make) == "create" ? 0 : 2;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(is_empty(directory));
}

TEST_CASE("a kernel without time namespaces has one for all, one without PID namespaces is refused") {
    const ScopedDirectory directory;
    bool made_without_time = false;
    for (std::uint64_t n = 1; n < 8; ++n) {
        const Location location = location_of(directory, "n" + std::to_string(n));
        system::fail_nth(system::Call::status, n, ENOENT);
        std::unique_ptr<Segment> segment;
        const std::string stage =
            refused_at([&] { segment = Segment::create(location, small_options("unused"), nullptr, nullptr); });
        system::fail_nothing();
        if (segment != nullptr) made_without_time |= segment->view().header().time_namespace == 0;
        CHECK((stage.empty() || stage == "create" || stage == "namespace"));
    }
    CHECK(made_without_time);
}

TEST_CASE("a segment that lost its name to another while it was made is its maker's all the same") {
    Made other;
    const Location location = location_of(other.directory, "other");
    testing::call_at_crash_point(
        "segment.linked", 1, [&] { std::filesystem::rename(other.location.segment_path(), location.segment_path()); });
    const auto made = Segment::create(location, small_options("unused"), nullptr, nullptr);
    REQUIRE(made != nullptr);
    CHECK(made->file() != other.segment->file());
    CHECK(Segment::attach(location)->file() == other.segment->file());
}

TEST_CASE("a segment that was long in the making is of no use when others may have replaced one meanwhile") {
    const ScopedDirectory directory;
    const Location location = location_of(directory);
    testing::call_at_crash_point("segment.linked", 1, [] { system::sleep_ns(kEverybodyLooksNs + 10'000'000); });
    CHECK(Segment::create(location, small_options("unused"), nullptr, [] { return std::int64_t{0}; }) == nullptr);
    CHECK(Segment::attach(location)->is_abandoned());
}

TEST_CASE("a file that others may use is refused") {
    Made made;
    for (const mode_t mode : {0644, 0660, 0400, 04600}) {
        REQUIRE(::chmod(made.location.segment_path().c_str(), mode) == 0);
        CHECK(made.refused() == "attach");
    }
}

TEST_CASE("a file of another user is refused", "[R13]") {
    Made made;
    if (::chown(made.location.segment_path().c_str(), 12345, static_cast<gid_t>(-1)) != 0) {
        WARN(test::kNeedsRoot);
        return;
    }
    CHECK(made.refused() == "attach");
}

TEST_CASE("what is no regular file is refused and not waited for", "[R13]") {
    const ScopedDirectory directory;
    const Location location = location_of(directory);
    const std::string path = location.segment_path();
    const auto refused = [&] { return refused_at([&] { Segment::attach(location); }) == "attach"; };
    SECTION("a link") {
        std::filesystem::create_symlink("/dev/zero", path);
        CHECK(refused());
    }
    SECTION("a pipe") {
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        CHECK(refused());
        CHECK(refused_at([&] { Segment::attach_read_only(path); }) == "attach");
    }
    SECTION("a directory") {
        std::filesystem::create_directory(path);
        CHECK(refused());
    }
}

TEST_CASE("a short or foreign file is refused", "[R8]") {
    const ScopedDirectory directory;
    const Location location = location_of(directory);
    const system::Descriptor file = system::open_file(location.segment_path(), O_RDWR | O_CREAT, 0600);
    const auto stage = [&] { return refused_at([&] { Segment::attach(location); }); };
    CHECK(stage() == "header");
    REQUIRE(::ftruncate(file.number(), sizeof(SegmentHeader) - 1) == 0);
    CHECK(stage() == "header");
    REQUIRE(::ftruncate(file.number(), 10 << 20) == 0);
    CHECK(stage() == "header");
    const std::string garbage(1 << 20, 'x');
    REQUIRE(::pwrite(file.number(), garbage.data(), garbage.size(), 0) == static_cast<ssize_t>(garbage.size()));
    CHECK(stage() == "header");
}

TEST_CASE("another format, build or geometry is refused at its stage", "[R8]") {
    Made made;
    SegmentHeader& header = made.header();
    SECTION("magic") {
        header.magic ^= 1;
        CHECK(made.refused() == "header");
    }
    SECTION("layout") {
        header.layout_number += 1;
        CHECK(made.refused() == "header");
    }
    SECTION("header size") {
        header.header_bytes += 64;
        CHECK(made.refused() == "header");
    }
    SECTION("signature, with both in the message") {
        header.signature ^= 1;
        char both[2][20];
        std::snprintf(both[0], 20, "0x%016llx", static_cast<unsigned long long>(layout_signature()));
        std::snprintf(both[1], 20, "0x%016llx", static_cast<unsigned long long>(layout_signature() ^ 1));
        CHECK_THROWS_WITH(Segment::attach(made.location), Catch::Contains(both[0]) && Catch::Contains(both[1]));
        CHECK(made.refused() == "signature");
    }
    SECTION("geometry") {
        header.geometry.arenas_at += kPageBytes;
        CHECK(made.refused() == "header");
    }
    SECTION("file size") {
        REQUIRE(::truncate(made.location.segment_path().c_str(), 11 << 20) == 0);
        CHECK(made.refused() == "header");
    }
    SECTION("PID namespace") {
        header.pid_namespace += 1;
        CHECK(made.refused() == "namespace");
    }
    SECTION("time namespace") {
        header.time_namespace += 1;
        CHECK(made.refused() == "namespace");
    }
}

TEST_CASE("what others change in the header later does not move what is mapped") {
    Made made;
    const auto attached = Segment::attach(made.location);
    for (const Segment* segment : {made.segment.get(), attached.get()}) {
        const std::uint64_t arenas_at = segment->view().geometry->arenas_at;
        made.header().geometry.arenas_at += 1;
        CHECK(segment->view().geometry->arenas_at == arenas_at);
    }
}

TEST_CASE("a segment from before the last boot, or closed for good, is only fit to be replaced") {
    Made made;
    CHECK_FALSE(Segment::attach(made.location)->is_abandoned());
    SECTION("another boot") {
        made.header().boot_id[0] ^= 1;
        CHECK(Segment::attach(made.location)->is_abandoned());
        CHECK(refused_at([&] { Segment::attach_read_only(made.location.segment_path()); }) == "header");
    }
    SECTION("closed") {
        const std::uint64_t applied = made.header().applied;
        close_for_good(made.segment->view());
        CHECK(made.header().everything == std::numeric_limits<std::uint64_t>::max());
        CHECK(made.header().applied == applied + 1);
        CHECK(Segment::attach(made.location)->is_abandoned());
    }
}

TEST_CASE("an inspector's mapping cannot be written through") {
    Made made;
    const Segment inspector = Segment::attach_read_only(made.location.segment_path());
    CHECK(inspector.view().header().incarnation == made.header().incarnation);
    auto child = ChildProcess::start([&](Channel&) {
        ::signal(SIGSEGV, SIG_DFL);
        inspector.view().header().notice_number = 1;
        return 0;
    });
    CHECK_FALSE(child.wait().exited_with(0));
    CHECK(made.header().notice_number == 0);
}

TEST_CASE("an inspector may be of another namespace") {
    Made made;
    made.header().pid_namespace += 1;
    CHECK(Segment::attach_read_only(made.location.segment_path()).view().bytes == made.segment->view().bytes);
}

TEST_CASE("what a cache serves is said once") {
    Made made;
    const SegmentView& view = made.segment->view();
    claim_identity(view, "");
    CHECK(made.header().identity_claimed == 0);
    claim_identity(view, "/data/school.db");
    claim_identity(view, "/data/school.db");
    claim_identity(view, "");
    try {
        claim_identity(view, "/data/other\n\x7f.db");
        FAIL("another identity was taken");
    } catch (const OpenError& error) {
        CHECK(error.stage == "identity");
        CHECK(error.reason == "the cache serves \"/data/school.db\", not \"/data/other??.db\"");
    }
}

TEST_CASE("long identities differ by their end too") {
    Made made;
    const std::string start(400, 'x');
    CHECK(stored_identity(start + "a").size() == 255);
    CHECK(stored_identity(start + "a") != stored_identity(start + "b"));
    claim_identity(made.segment->view(), start + "a");
    claim_identity(made.segment->view(), start + "a");
    CHECK(refused_at([&] { claim_identity(made.segment->view(), start + "b"); }) == "identity");
}

TEST_CASE("a claimer of the identity that is killed half-way is in nobody's way") {
    for (const char* point : {"identity.claimed", "identity.written"}) {
        Made made;
        auto child = ChildProcess::start([&](Channel&) {
            testing::arm_crash(point);
            claim_identity(made.segment->view(), "/a/rather/long/path/of/a.db");
            return 0;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
        CHECK(made.header().identity_claimed == 1);
        claim_identity(made.segment->view(), "b.db");
        CHECK(std::string(made.header().identity) == "b.db");
    }
}

TEST_CASE("a retired segment loses its name, another of that name keeps it") {
    Made made;
    const process::Lock lock(test::kWatchdog);
    LockFile* lock_file = LockFile::open(made.location.lock_path());
    retire_segment(made.location, *lock_file, *made.segment, std::chrono::seconds(2));
    CHECK(is_closed_for_good(made.segment->view()));
    CHECK(Segment::attach(made.location) == nullptr);
    const auto next = Segment::create(made.location, small_options("unused"), nullptr, nullptr);
    REQUIRE(next != nullptr);
    retire_segment(made.location, *lock_file, *made.segment, std::chrono::seconds(2));
    CHECK(Segment::attach(made.location)->file() == next->file());
}

TEST_CASE("a remover that is killed half-way left nothing that is served") {
    for (const char* point : {"segment.everything", "replacement.closed", "replacement.removed"}) {
        Made made;
        auto child = ChildProcess::start([&](Channel&) {
            testing::arm_crash(point);
            remove_cache(made.location);
            return 0;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
        CHECK(is_closed_for_good(made.segment->view()));
        const bool removed = Segment::attach(made.location) == nullptr;
        CHECK(remove_cache(made.location) == !removed);
        CHECK(Segment::attach(made.location) == nullptr);
        CHECK_FALSE(remove_cache(made.location));
    }
}
