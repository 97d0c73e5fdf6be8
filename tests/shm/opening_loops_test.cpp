// Counter loops over opening a cache: whatever the n-th system call of a kind says, it is open or there is an
// OpenError.
#include <fcntl.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>

#include "shm/location.hpp"
#include "shm/lock_file.hpp"
#include "shm/mapping.hpp"
#include "shm/process.hpp"
#include "shm/segment.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fault.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/process_usage.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// Another process finds this one's place in the registry locked.
bool holds_its_place(const Options& options) {
    const shm::Location location = shm::locate(options.directory, options.name, false);
    const shm::Mapping* const mapping = shm::Mapping::open(options, nullptr);
    return ChildProcess::start([&](Channel&) {
               const auto lock = shm::system::open_file(location.lock_path(), O_RDWR);
               return shm::system::locked_by_other(lock.number(), mapping->participant(), 1);
           })
        .wait()
        .exited_with(1);
}

/// What is wrong with an opening while `fault` is armed; "": nothing.
std::string open_once(const Options& options) {
    try {
        Cache::open(options);
    } catch (const OpenError& error) {
        if (error.stage.empty() || error.reason.empty() || error.remedy.empty()) return "an error that says too little";
    } catch (const std::exception& error) {
        return std::string("another exception: ") + error.what();
    }
    return {};
}

std::string after_opening(const Options& options) {
    const Cache cache = Cache::open(options);
    // A segment whose maker could not ask whether there was another before it is closed for a moment.
    if (!eventually([&] { return works(cache); })) return "the cache does not work";
    const shm::Segment segment = shm::Segment::attach_read_only(cache.segment_path());
    if (const std::string wrong = first_violation(segment.view()); !wrong.empty()) return wrong;
    if (const std::string found = first_finding(segment.view()); !found.empty()) return found;
    return holds_its_place(options) ? "" : "its process has lost its place in the registry";
}

/// In a child: what is open stays open.
std::string try_opening(const Options& options, const Fault& fault, std::uint64_t n, bool& reached) {
    const std::string segment_path = options.directory + "/" + options.name + ".seg";
    const bool was_there = std::filesystem::exists(segment_path);
    std::ptrdiff_t descriptors = 0;
    for (int time = 0; time < 3; ++time) {
        fault.arm(n);
        const std::string wrong = open_once(options);
        if (time == 0) reached = fault.was_reached(n);
        Fault::disarm();
        if (!wrong.empty()) return wrong;
        // The first time leaves the lock files open, which are never closed.
        if (time == 1) descriptors = open_descriptors();
        if (time == 2 && open_descriptors() != descriptors) return "descriptors leak";
    }
    if (!was_there && std::filesystem::exists(segment_path)) {
        const bool half_made = !ChildProcess::start([&](Channel&) {
                                    Options another = options;
                                    another.create = false;
                                    return eventually([&] { return works(Cache::open(another)); }) ? 0 : 1;
                                })
                                    .wait()
                                    .exited_with(0);
        if (half_made) return "a half made segment has the name";
    }
    return after_opening(options);
}

/// How many loops got to an n-th call, by what failed.
std::map<std::string_view, int> run_loops(bool is_there, bool is_open, bool all_errors = false) {
    std::map<std::string_view, int> reached_calls;
    for (const Fault& fault : faults(all_errors)) {
        bool reached = true;
        for (std::uint64_t n = 1; reached && n < 40; ++n) {
            const ScopedDirectory directory;
            const Options options = small_options(directory.file("cache"));
            if (is_there) {
                const auto make = [&](Channel&) {
                    const Cache cache = Cache::open(options);
                    return eventually([&] { return works(cache); }) ? 0 : 1;
                };
                REQUIRE(ChildProcess::start(make).wait().exited_with(0));
            }
            ChildProcess opener = ChildProcess::start([&](Channel& parent) {
                if (is_open) Cache::open(options);
                bool was_reached = false;
                const std::string wrong = try_opening(options, fault, n, was_reached);
                parent.tell(was_reached ? 'r' : 'n');
                if (!wrong.empty()) parent.tell_bytes(wrong.data(), wrong.size());
                return 0;
            });
            reached = opener.hear() == 'r';
            std::string wrong;
            while (const char byte = opener.hear()) wrong += byte;
            INFO(fault.name(n));
            CHECK(wrong == "");
            CHECK(opener.wait().exited_with(0));
            reached_calls[fault.what] += reached ? 1 : 0;
        }
        CHECK_FALSE(reached);
    }
    return reached_calls;
}

}  // namespace

TEST_CASE("Whatever call of making a cache fails, there is a cache or an error, and nothing in between") {
    const Watchdog watchdog(600);
    std::map<std::string_view, int> reached = run_loops(false, false);
    for (const char* const what : {"open", "temporary file", "link", "allocate", "map", "advise", "lock", "query lock",
                                   "status", "read file", "make directory", "change mode", "random"}) {
        INFO(what);
        CHECK(reached[what] > 0);
    }
}

TEST_CASE("Whatever call of attaching to a cache fails, it is open or there is an error") {
    const Watchdog watchdog(600);
    std::map<std::string_view, int> reached = run_loops(true, false);
    for (const char* const what : {"open", "map", "advise", "lock", "status", "read file"}) {
        INFO(what);
        CHECK(reached[what] > 0);
    }
}

TEST_CASE("Whatever call of opening an open cache again fails, its process keeps its place") {
    const Watchdog watchdog(600);
    std::map<std::string_view, int> reached = run_loops(true, true);
    CHECK(reached["status"] > 0);
}

TEST_CASE("Whatever call of opening a cache fails, with all errors", "[.all]") {
    run_loops(false, false, true);
    run_loops(true, false, true);
    run_loops(true, true, true);
}
