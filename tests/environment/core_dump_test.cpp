// A crash of a process that has a cache open leaves the values out of its core file.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "shm/cache.hpp"
#include "shm/segment.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/shm_fixture.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// Mappings of the file in this process, and those of them that no core file has.
struct Mappings {
    int all = 0, kept_out = 0;
};

/// From the kernel's own account: "dd" among the flags of a mapping means "do not dump".
Mappings mappings_of(const std::string& path) {
    std::ifstream lines("/proc/self/smaps");
    Mappings found;
    bool is_of_file = false;
    for (std::string line; std::getline(lines, line);) {
        const bool is_head = line.find('-') < line.find(' ') && line.find("-") < 20;
        if (is_head) is_of_file = line.ends_with(path);
        if (is_head && is_of_file) ++found.all;
        if (is_of_file && line.rfind("VmFlags:", 0) == 0 && (line + " ").find(" dd ") != std::string::npos)
            ++found.kept_out;
    }
    return found;
}

}  // namespace

TEST_CASE("No core file has the values, whoever made or opened the cache, or only looks", "[environment][fork]") {
    const ScopedDirectory directory;
    const auto all_are_out = [&](int least) {
        const Mappings found = mappings_of(directory.file("test.seg"));
        return found.all >= least && found.kept_out == found.all;
    };
    const StageResult made = play([&] {
        Cache cache = Cache::open(small_options(directory.path()));
        require(all_are_out(1), "not its maker's");
        ChildProcess child = ChildProcess::start([&](Channel&) { return all_are_out(1) ? 0 : 1; });
        require(child.wait().exited_with(0), "not its child's");
    });
    CHECK(made.report == "");
    const StageResult opened = play([&] {
        const shm::Segment looked_at = shm::Segment::attach_read_only(directory.file("test.seg"));
        require(all_are_out(1), "not who only looks");
        Cache cache = Cache::open(small_options(directory.path()));
        require(all_are_out(2), "not who opens it");
    });
    CHECK(opened.report == "");
}
