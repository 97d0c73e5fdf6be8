// What systemd-logind does with RemoveIPC, and `rm -rf` by hand: the files of a cache go while processes have it open.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "shm/cache.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/socket_client.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// The neighbour: goes on with what its parent opened.
int go_on(Cache& cache, Channel& test) {
    if (cache.get("key").value() != "old") return 1;
    test.tell('r');
    if (test.hear() != 'd') return 2;  // the files are gone
    if (!eventually([&] { return !cache.get("key"); })) return 3;
    if (!is_stored(cache, "child's", "new")) return 4;
    test.tell('s');
    if (test.hear() != 'n') return 5;  // its parent has announced a change of it
    return !cache.get("child's") ? 0 : 6;
}

}  // namespace

TEST_CASE("Processes whose cache is removed with its directory meet in a new one, and serve nothing old",
          "[environment][replacement][fork]") {
    const Watchdog watchdog;
    const bool with_directory = GENERATE(true, false);
    const ScopedDirectory parent;
    const std::string directory = parent.file("larder");
    Options options = small_options(directory);
    options.listen = true;
    const StageResult result = play([&] {
        Cache cache = Cache::open(options);
        require(is_stored(cache, "key", "old"), "no put");
        require(eventually([&] { return SocketClient(cache.socket_path()).ask("ping") == "ok"; }), "nobody listens");
        const std::uint64_t before = shm::Segment::attach_read_only(cache.segment_path()).view().header().incarnation;
        ChildProcess child = ChildProcess::start([&](Channel& test) { return go_on(cache, test); });
        require(child.hear() == 'r', "the child does not read");
        if (with_directory) {
            std::filesystem::remove_all(directory);
        } else {
            for (const auto& entry : std::filesystem::directory_iterator(directory))
                std::filesystem::remove(entry.path());
        }
        child.tell('d');
        require(eventually([&] { return !cache.get("key"); }), "a removed value is served");
        require(child.hear() == 's', "the child does not go on");
        require(eventually([&] { return cache.get("child's").value() == "new"; }), "they are not in one cache");
        require(cache.invalidate("child's") != 0, "no notice");
        child.tell('n');
        require(child.wait().exited_with(0), "the child does not hear of a change");
        require(eventually([&] { return SocketClient(cache.socket_path()).ask("ping") == "ok"; }),
                "nobody listens any more");
        const shm::Segment anew = shm::Segment::attach_read_only(cache.segment_path());
        require(anew.view().header().incarnation != before, "it is the old one");
        require(first_violation(anew.view()).empty(), "it is damaged");
    });
    CHECK(result.report == "");
}
