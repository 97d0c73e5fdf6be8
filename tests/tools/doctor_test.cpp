// larder doctor: a healthy cache has no errors; each kind of damage is found and named.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/directory.hpp"
#include "shm/key_table.hpp"
#include "shm/segment.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::CommandResult;
using test::ScopedDirectory;

namespace {

/// A cache with some entries, and its file to be damaged.
struct Patient {
    ScopedDirectory directory;
    Cache cache = Cache::open(test::small_options(directory.path(), "default"));
    shm::SegmentView view;
    std::unique_ptr<shm::Segment> segment;

    Patient() {
        for (int i = 0; i < 50; ++i) cache.put("key:" + std::to_string(i), "value " + std::to_string(i));
        segment = shm::Segment::attach(shm::locate(directory.path(), "default", false));
        view = segment->view();
    }
    CommandResult doctor(std::vector<std::string> arguments = {}) const {
        arguments.insert(arguments.begin(), {"doctor", "--json"});
        return test::run_larder(directory.path(), arguments);
    }
    /// Severity of a finding, "" where it is not found.
    std::string severity(const std::string& name, const std::vector<std::string>& arguments = {}) const {
        const CommandResult result = doctor(arguments);
        const boost::json::value report = result.json();
        for (const auto& finding : report.at("findings").as_array())
            if (finding.at("name") == name.c_str()) {
                CHECK(!finding.at("what").as_string().empty());
                CHECK(!finding.at("remedy").as_string().empty());
                CHECK(result.code == 1);
                return std::string(finding.at("severity").as_string());
            }
        return {};
    }
    bool notes(const std::string& name) const {
        const boost::json::value report = doctor().json();
        for (const auto& note : report.at("notes").as_array())
            if (note.at("name") == name.c_str()) {
                CHECK(!note.at("what").as_string().empty());
                CHECK(!note.at("remedy").as_string().empty());
                return severity(name).empty();
            }
        return false;
    }
    std::uint32_t used_slot() const {
        for (std::uint32_t slot = 0;; ++slot)
            if (view.directory(0)[slot].load() != 0) return slot;
    }
    shm::Record& record(std::uint32_t slot) const {
        return *view.at<shm::Record>(shm::slot_units(view.directory(0)[slot].load()) * shm::kUnitBytes);
    }
};

}  // namespace

TEST_CASE("a healthy cache has notes and no findings", "[cli][doctor]") {
    const Patient patient;
    const CommandResult result = patient.doctor({"--checksums"});
    CHECK(result.code == 0);
    CHECK(result.json().at("findings").as_array().empty());
    CHECK(patient.notes("no_listener"));
    const CommandResult text = test::run_larder(patient.directory.path(), {"doctor"});
    CHECK(text.code == 0);
    CHECK_THAT(text.out, Catch::StartsWith("no findings\nnote ") && Catch::Contains("no_listener"));
}

TEST_CASE("a slot that names no record is found", "[cli][doctor]") {
    const Patient patient;
    SECTION("outside the segment") {
        patient.view.directory(0)[patient.used_slot()] = shm::slot_word(0xFFFFFFF0, 1, 1);
    }
    SECTION("in the header") { patient.view.directory(0)[patient.used_slot()] = shm::slot_word(4, 1, 1); }
    SECTION("in the index's part of an arena") {
        patient.view.directory(0)[patient.used_slot()] =
            shm::slot_word(patient.view.geometry->arenas_at / shm::kUnitBytes + 4, 1, 1);
    }
    SECTION("so near the end that no record fits") {
        patient.view.directory(0)[patient.used_slot()] = shm::slot_word(
            (patient.view.geometry->arenas_at + patient.view.geometry->arena_bytes) / shm::kUnitBytes - 1, 1, 1);
    }
    CHECK(patient.severity("slot_outside") == "error");
}

TEST_CASE("a damaged record is found", "[cli][doctor]") {
    const Patient patient;
    shm::Record& record = patient.record(patient.used_slot());
    SECTION("an endless value") { record.value_bytes = 0xFFFFFFFF; }
    SECTION("a key too long") { record.key_bytes = 60'000; }
    SECTION("no key") { record.key_bytes = 0; }
    SECTION("another key") { reinterpret_cast<char*>(&record)[sizeof(shm::Record)] ^= 1; }
    SECTION("another hash") { record.hash ^= 1; }
    SECTION("too many tags") { record.tags = 200; }
    SECTION("an end long before it was made") { record.expires_ns = record.created_ns - 120'000'000'000; }
    SECTION("made later than now") { record.created_ns += 120'000'000'000; }
    SECTION("of a notice that was never given") { record.as_of += 1'000; }
    CHECK(patient.severity("record_damaged") == "error");
}

TEST_CASE("an entry behind a gap in its probe is found", "[cli][doctor]") {
    const Patient patient;
    shm::Word64* const slots = patient.view.directory(0);
    const std::uint32_t from = patient.used_slot(), mask = patient.view.geometry->directory_slots - 1;
    std::uint32_t to = (from + 1) & mask;
    while (slots[to].load() != 0 || slots[(to - 1) & mask].load() != 0) to = (to + 1) & mask;
    slots[to] = slots[from].load();
    slots[from] = 0;
    CHECK(patient.severity("entry_unreachable") == "error");
}

TEST_CASE("control data that no writer would have left are found", "[cli][doctor]") {
    const Patient patient;
    const shm::SegmentView& view = patient.view;
    const auto is_found = [&patient](const char* name) { return patient.severity(name) == "error"; };
    SECTION("a lock of another kind") {
        view.shard(0).mutex.__data.__kind ^= 1;
        CHECK(is_found("lock_damaged"));
    }
    SECTION("a lock that nobody holds or can get") {
        view.shard(0).mutex.__data.__lock = 0x3FFFFFF0;
        CHECK(is_found("lock_lost"));
    }
    SECTION("a list that leaves the arena") {
        view.shard(0).reserved = 1;
        CHECK(is_found("shard_damaged"));
    }
    SECTION("an arena without an index") {
        *view.at<std::uint64_t>(view.geometry->arenas_at) = view.geometry->segment_bytes;
        CHECK(is_found("shard_damaged"));
    }
    SECTION("an arena in no state") {
        view.arena_state(0).word |= 0x80;
        CHECK(is_found("arena_state"));
    }
    SECTION("a fence ahead of all notices") {
        view.fences()[7] = 1'000'000;
        CHECK(is_found("fence_ahead"));
    }
    SECTION("a registry slot in no state") {
        view.process(0).state = 77;
        CHECK(is_found("registry_damaged"));
    }
    SECTION("a pin where no record can be") {
        view.threads(0)[1].cells[2] = 1;
        CHECK(is_found("pins_damaged"));
    }
    SECTION("puts refused for ever") {
        view.header().open_at_ns = std::numeric_limits<std::int64_t>::max();
        CHECK(is_found("never_opens"));
    }
    SECTION("a lease in no state") {
        view.leases(3).slots[2].state = 9;
        CHECK(patient.severity("lease_damaged") == "warning");
    }
    SECTION("a key's counts where nobody looks") {
        const shm::KeyTable table(view);
        std::uint64_t hash = 1;  // looked for elsewhere, by this cache's seed
        for (view.key_entry(5).key_hash = hash; table.find(hash, 0) == 5;)
            view.key_entry(5).key_hash = hash += 0x9e3779b97f4a7c15ULL;
        CHECK(patient.severity("keys_damaged") == "warning");
    }
}

TEST_CASE("a gauge that is off is found", "[cli][doctor]") {
    const Patient patient;
    patient.view.shard(0).entries += 1;
    CHECK(patient.severity("gauge_mismatch") == "error");
}

TEST_CASE("a changed value is found when checksums are asked for", "[cli][doctor]") {
    const Patient patient;
    shm::Record& record = patient.record(patient.used_slot());
    reinterpret_cast<char*>(&record)[record.value_at] ^= 1;
    CHECK(patient.severity("checksum_mismatch") == "");
    CHECK(patient.severity("checksum_mismatch", {"--checksums"}) == "error");
}

TEST_CASE("a shard left half edited is found", "[cli][doctor]") {
    const Patient patient;
    SECTION("mutating") { patient.view.shard(0).mutating = 1; }
    SECTION("moves odd") { patient.view.shard(0).moves += 1; }
    CHECK(patient.severity("half_edited") == "error");
}

TEST_CASE("an arena that belongs to no shard is found", "[cli][doctor]") {
    const Patient patient;
    SECTION("of another kind") { patient.view.arena_state(0).word = shm::arena_state(shm::ArenaKind::spare, 0, 9); }
    SECTION("of no number") { patient.view.shard(0).arena = 77; }
    CHECK(patient.severity("arena_owner") == "error");
}

TEST_CASE("a header that no build wrote is found, and the rest is not believed", "[cli][doctor]") {
    const Patient patient;
    shm::SegmentHeader& header = patient.view.header();
    SECTION("magic") {
        header.magic ^= 1;
        CHECK(patient.severity("open_header") == "error");
    }
    SECTION("layout number") {
        header.layout_number += 1;
        CHECK(patient.severity("open_header") == "error");
    }
    SECTION("signature") {
        header.signature ^= 1;
        CHECK(patient.severity("open_signature") == "error");
    }
    SECTION("geometry") {
        header.geometry.directories_at += 64;
        CHECK(patient.severity("open_header") == "error");
    }
    SECTION("cut") {
        std::filesystem::copy_file(patient.directory.file("default.seg"), patient.directory.file("cut.seg"));
        ::chmod(patient.directory.file("cut.seg").c_str(), 0600);
        std::filesystem::resize_file(patient.directory.file("cut.seg"), 4'096);
        CHECK(patient.severity("open_header", {"-c", "cut"}) == "error");
    }
}

TEST_CASE("a handle that keeps an arena for over 10 s is found, with its process and key", "[cli][doctor]") {
    Patient patient;
    const Pinned held = patient.cache.get("key:7");
    REQUIRE(held);
    patient.view.shard(0).mutating = 1;  // as a writer leaves it that dies
    REQUIRE(patient.cache.put("key:7", "value") == PutResult::rebuilding);
    CHECK(patient.severity("arena_pinned").empty());
    patient.view.arena_state(0).condemned_ns -= 11'000'000'000;
    CHECK(patient.severity("arena_pinned") == "error");
    const std::string report = patient.doctor().out;
    CHECK_THAT(report, Catch::Contains("`key:7`") && Catch::Contains("process " + std::to_string(::getpid())));
}

TEST_CASE("a segment that was closed for good is found", "[cli][doctor]") {
    const Patient patient;
    shm::close_for_good(patient.view);
    CHECK(patient.severity("closed_for_good") == "error");
}

TEST_CASE("a file that others may read is found", "[cli][doctor]") {
    const Patient patient;
    ::chmod(patient.directory.file("default.lock").c_str(), 0644);
    CHECK(patient.severity("file_mode") == "error");
}

TEST_CASE("a lock file that cannot be locked is found", "[cli][doctor]") {
    const Patient patient;
    SECTION("for its mode") { ::chmod(patient.directory.file("default.lock").c_str(), 0400); }
    SECTION("for what it is") {
        std::filesystem::remove(patient.directory.file("default.lock"));
        std::filesystem::create_directory(patient.directory.file("default.lock"));
    }
    SECTION("the listener's") {
        std::ofstream(patient.directory.file("default.listen")).close();
        ::chmod(patient.directory.file("default.listen").c_str(), 0000);
    }
    SECTION("for its owner") {
        if (::chown(patient.directory.file("default.lock").c_str(), ::geteuid() + 1, ::getegid()) != 0) {
            WARN("skipped: only root can give a file away");
            return;
        }
    }
    CHECK(patient.severity("lock_unusable") == "error");
}

TEST_CASE("a lock file that was removed under a process is found", "[cli][doctor]") {
    const Patient patient;
    CHECK(patient.severity("lock_missing").empty());
    std::filesystem::remove(patient.directory.file("default.lock"));
    CHECK(patient.severity("lock_missing") == "error");
}

TEST_CASE("a directory that is not on tmpfs is noted", "[cli][doctor]") {
    const ScopedDirectory directory("/var/tmp");
    if (shm::system::is_tmpfs(directory.path())) {
        WARN("skipped: /var/tmp is on tmpfs");
        return;
    }
    REQUIRE(test::run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    const CommandResult result = test::run_larder(directory.path(), {"doctor"});
    CHECK(result.code == 0);
    CHECK_THAT(result.out, Catch::Contains("note     not_tmpfs: "));
}

TEST_CASE("a logout that removes the files of a user in /dev/shm is a warning, unless logind is told not to",
          "[cli][doctor][environment]") {
    const ScopedDirectory directory("/dev/shm");
    const std::string user = "setpriv --reuid=12345 --regid=12345 --clear-groups ";
    const auto doctor = [&](const std::string& config) {
        return test::run_shell(
            directory.path(),
            "unshare -m sh -c 'mount -t tmpfs none /run && mkdir -p /run/systemd/seats && test -d /etc/systemd && "
            "mount -t tmpfs none /etc/systemd && chown 12345 \"$LARDER_DIR\" || exit 77; " +
                config + user + "test -x \"$LARDER\" || exit 77; echo v | " + user +
                "\"$LARDER\" put k --size 16MiB; " + user + "\"$LARDER\" doctor'");
    };
    const CommandResult warned = doctor("");
    if (warned.code == 77 || warned.err.find("unshare") != std::string::npos) {
        WARN("skipped: no namespace of its own, or no other user");
        return;
    }
    CHECK(warned.code == 1);
    CHECK_THAT(warned.out, Catch::Contains("remove_ipc: ") && Catch::Contains("RemoveIPC=no"));
    const CommandResult told = doctor("echo RemoveIPC=no > /etc/systemd/logind.conf; ");
    CHECK_THAT(told.out, !Catch::Contains("remove_ipc"));
}

TEST_CASE("a storm of flushes is a warning", "[cli][doctor]") {
    Patient patient;
    for (int i = 0; i < 20; ++i) patient.cache.invalidate_all();
    CHECK(patient.severity("invalidation_storm") == "warning");
}

TEST_CASE("the slot of a dead process is noted", "[cli][doctor]") {
    const Patient patient;
    REQUIRE(test::run_larder(patient.directory.path(), {"put", "k"}, "v").code == 0);  // it attached and ended
    CHECK(patient.notes("dead_processes"));
}

TEST_CASE("the doctor changes nothing", "[cli][doctor]") {
    const Patient patient;
    const auto bytes = [&patient] {
        std::ifstream file(patient.directory.file("default.seg"), std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const std::string before = bytes();
    patient.doctor({"--checksums"});
    test::run_larder(patient.directory.path(), {"dump", "--all", "--values"});
    test::run_larder(patient.directory.path(), {"stat", "--shards"});
    CHECK(bytes() == before);
}
