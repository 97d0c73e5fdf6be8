// A segment that outlived the boot in which it was made, on a disk or in a kept tmpfs.
#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

const char* const kBootId = "/proc/sys/kernel/random/boot_id";

/// For this process and its children the kernel has another boot id.
void pretend_reboot(const std::string& id_file) {
    std::ofstream(id_file) << "01234567-89ab-cdef-0123-456789abcdef\n";
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(id_file.c_str(), kBootId, nullptr, MS_BIND, nullptr) != 0)
        throw NotHere();
}

}  // namespace

TEST_CASE("After a reboot nothing of an older segment is served, and the next who opens the cache makes it anew",
          "[environment][replacement][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory, elsewhere;
    Options options = small_options(directory.path());
    const StageResult before = play([&] {
        Cache cache = Cache::open(options);
        require(is_stored(cache, "key", "of the last boot"), "no put");
    });
    REQUIRE(before.report == "");
    const StageResult after = play([&] {
        pretend_reboot(elsewhere.file("boot_id"));
        const std::string path = directory.file("test.seg");
        require(refused_at([&] { shm::Segment::attach_read_only(path); }) == "header", "who looks believes it");
        options.create = false;
        require(refused_at([&] { Cache::open(options); }) == "attach", "it is opened by who makes none");
        options.create = true;
        Cache cache = Cache::open(options);
        require(!cache.get("key"), "a value of the last boot is served");
        require(is_stored(cache, "key", "new") && cache.get("key").value() == "new", "of no use");
        ChildProcess other =
            ChildProcess::start([&](Channel&) { return Cache::open(options).get("key").value() == "new" ? 0 : 1; });
        require(other.wait().exited_with(0), "another process makes it once more");
    });
    if (!is_skipped(after)) CHECK(after.report == "");
}
