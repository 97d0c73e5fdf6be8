// A cache on a tmpfs that is too small, just large enough, or out of inodes.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "shm/cache.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLeastMiB = 10;  // of a cache of one shard

/// A tmpfs over `path`, in a mount namespace of this process alone.
void mount_tmpfs(const std::string& path, const std::string& options) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", path.c_str(), "tmpfs", 0, (options + ",mode=0700").c_str()) != 0)
        throw NotHere();
}

std::uint64_t free_bytes(const std::string& path) {
    struct statvfs space {};
    require(::statvfs(path.c_str(), &space) == 0, "no statvfs");
    return std::uint64_t{space.f_bavail} * space.f_frsize;
}

Options options_of(const std::string& directory, std::uint64_t mebibytes, const std::string& name) {
    Options options = small_options(directory, name);
    options.size_bytes = mebibytes * kMiB;
    return options;
}

/// The tmpfs has so many MiB free, and a cache of more is refused with both numbers and leaves nothing.
void refuse_more(const std::string& directory, std::uint64_t free_mib, std::uint64_t needed_mib) {
    const std::uint64_t before = free_bytes(directory);
    try {
        Cache::open(options_of(directory, needed_mib, "more"));
    } catch (const OpenError& error) {
        require(error.stage == "create", "refused at " + error.stage + ": " + error.reason);
        for (const std::string& number :
             {"needs " + std::to_string(needed_mib) + " MiB", std::to_string(free_mib) + " MiB free"})
            require(error.reason.find(number) != std::string::npos, "no `" + number + "` in: " + error.reason);
        require(free_bytes(directory) == before, "what was refused keeps memory");
        require(!std::filesystem::exists(directory + "/more.seg"), "what was refused has a name");
        return;
    }
    throw Wrong("a cache of " + std::to_string(needed_mib) + " MiB fits into " + std::to_string(free_mib));
}

/// Every page of the file is there, so that nothing done to the cache needs another one.
void require_allocated(const std::string& path) {
    struct stat status {};
    require(::stat(path.c_str(), &status) == 0, "no stat");
    require(std::uint64_t(status.st_blocks) * 512 >= std::uint64_t(status.st_size), "the file has holes");
}

std::uint64_t evictions(const std::string& path) {
    return shm::read_shard(shm::Segment::attach_read_only(path).view(), 0).evictions;
}

/// Values of this size until some have to go, and as many again; the last ones are there.
void fill(Cache& cache, std::size_t value_bytes) {
    const std::string path = cache.segment_path(), value(value_bytes, 'v');
    const auto key = [&](int n) { return std::to_string(value_bytes) + ":" + std::to_string(n); };
    const std::uint64_t before = evictions(path);
    int n = 0;
    for (; n % 64 != 0 || n < 256 || evictions(path) == before; ++n) {
        require(n < 100'000, "never full");
        require(is_stored(cache, key(n), value), "a put is refused");
    }
    for (const int last = 2 * n; n < last; ++n) require(is_stored(cache, key(n), value), "a put is refused when full");
    for (int back = 1; back <= 100; ++back) {
        const Pinned got = cache.get(key(n - back));
        require(got.value() == value, "a value is lost or wrong");
    }
}

}  // namespace

// [no_asan]: two GiB are written, not optimised for minutes; the next case shows the sanitizer the same.
TEST_CASE("A tmpfs of 1 to 64 MB refuses a cache with numbers, or holds all of it",
          "[environment][R7][fork][no_asan]") {
    const Watchdog watchdog(600);
    for (std::uint64_t size = 1; size <= 64; ++size) {
        INFO(size << " MB");
        const ScopedDirectory directory;
        const StageResult result = play([&] {
            mount_tmpfs(directory.path(), "size=" + std::to_string(size) + "m");
            refuse_more(directory.path(), size, std::max(size + 1, kLeastMiB));
            if (size < kLeastMiB) return;
            Cache cache = Cache::open(options_of(directory.path(), size, "test"));
            require(free_bytes(directory.path()) < kMiB, "a MiB of the tmpfs is left");
            require_allocated(cache.segment_path());
            refuse_more(directory.path(), (free_bytes(directory.path()) + kMiB - 1) / kMiB, kLeastMiB);
            fill(cache, 30'000);
            fill(cache, 1'000);
            require(cache.invalidate_all() != 0, "no notice on a full tmpfs");
            ChildProcess another = ChildProcess::start([&](Channel&) {
                Cache opened = Cache::open(options_of(directory.path(), size, "test"));
                return opened.put("k", "v") == PutResult::stored && opened.get("k").value() == "v" ? 0 : 1;
            });
            require(another.wait().exited_with(0), "another process cannot use it");
            require(cache.get("k").value() == "v", "what another process put is not there");
            const std::string wrong = first_violation(shm::Segment::attach_read_only(cache.segment_path()).view());
            require(wrong.empty(), wrong);
        });
        if (is_skipped(result)) return;
        REQUIRE(result.report == "");
    }
}

TEST_CASE("Caches are made on one tmpfs until it is full, and all of them work", "[environment][R7][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        mount_tmpfs(directory.path(), "size=64m");
        std::vector<Cache> caches;
        while (free_bytes(directory.path()) >= kLeastMiB * kMiB)
            caches.push_back(
                Cache::open(options_of(directory.path(), kLeastMiB, "cache" + std::to_string(caches.size()))));
        require(caches.size() == 6, "not six of 10 MiB in 64");
        refuse_more(directory.path(), 4, kLeastMiB);
        for (Cache& cache : caches) fill(cache, 30'000);
    });
    if (!is_skipped(result)) CHECK(result.report == "");
}

TEST_CASE("A tmpfs without inodes is an error that says so, until there are enough", "[environment][R7][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const StageResult result = play([&] {
        mount_tmpfs(directory.path(), "size=16m,nr_inodes=1");
        int refused = 0;
        for (int inodes = 1; inodes <= 8; ++inodes) {
            const std::string more = "size=16m,nr_inodes=" + std::to_string(inodes);
            if (::mount("none", directory.path().c_str(), "tmpfs", MS_REMOUNT, more.c_str()) != 0) throw NotHere();
            try {
                Cache cache = Cache::open(small_options(directory.path()));
                require(is_stored(cache, "k", "v") && cache.get("k").value() == "v", "of no use");
                require(refused >= 2, "opened without inodes");
                return;
            } catch (const OpenError& error) {
                require(error.reason.find("No space left on device") != std::string::npos, error.what());
                require(!std::filesystem::exists(directory.file("test.seg")), "what was refused has a name");
                ++refused;
            }
        }
        throw Wrong("refused for ever");
    });
    if (!is_skipped(result)) CHECK(result.report == "");
}
