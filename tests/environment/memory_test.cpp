// A process whose memory runs out while it asks /proc about others: in doubt they live, and have mapped what it asks
// of.
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <new>
#include <string>

#include "shm/cache.hpp"
#include "shm/process.hpp"
#include "tests/environment/failing_new.hpp"
#include "tests/environment/stage.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/registry_host.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using shm::process::maps_deleted;

namespace {

/// An exception says nothing: it keeps the new segment from being made.
bool denies(const std::string& path, bool anybody) {
    try {
        return !maps_deleted(path, anybody);
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// The n-th allocation fails, n = 1.. until there is none so late, with steps of n / `most_in_a_row` above that.
/// Returns how many failed.
int check_failures(const std::string& path, bool anybody, std::uint64_t most_in_a_row) {
    int failed = 0;
    for (const bool sticky : {false, true}) {
        for (std::uint64_t n = 1; n < 1'000'000; n += 1 + n / most_in_a_row) {
            bool denied = false, is_reached = false;
            {
                const FailingNew failing(n, sticky);
                denied = denies(path, anybody);
                is_reached = failing.asked() >= n;
            }
            INFO("allocation " << n << (sticky ? " and all later ones fail" : " fails"));
            CHECK_FALSE(denied);
            if (!is_reached) break;
            ++failed;
        }
    }
    return failed;
}

}  // namespace

TEST_CASE("A process whose memory runs out does not say that it has no removed segment", "[environment][replacement]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    const Cache cache = Cache::open(small_options(directory.path()));
    const std::string path = cache.segment_path();
    REQUIRE(std::filesystem::remove(path));
    REQUIRE(maps_deleted(path, false));
    REQUIRE_FALSE(maps_deleted(path + "x", false));
    CHECK(check_failures(path, false, 1'000'000) >= 6);
}

TEST_CASE("A process whose memory runs out does not say that nobody has a removed segment",
          "[environment][replacement][fork]") {
    const Watchdog watchdog;
    const ScopedDirectory directory;
    ChildProcess other = ChildProcess::start([&](Channel& test) {
        const Cache cache = Cache::open(small_options(directory.path()));
        test.tell('o');
        return test.hear() == 'e' ? 0 : 1;
    });
    REQUIRE(other.hear() == 'o');
    const std::string path = directory.file("test.seg");
    REQUIRE(std::filesystem::remove(path));
    REQUIRE(maps_deleted(path, true));
    REQUIRE_FALSE(maps_deleted(path, false));
    CHECK(check_failures(path, true, 16) >= 6);
    other.tell('e');
    CHECK(other.wait().exited_with(0));
}

TEST_CASE("A process without memory knows who lives and who is dead", "[environment][fork]") {
    const Watchdog watchdog;
    RegistryHost host;
    std::uint32_t slot = 0;
    ChildProcess child = host.attached_child(slot);
    const std::uint64_t incarnation = host.slot(slot).incarnation;
    for (const bool is_dead : {false, true}) {
        if (is_dead) {
            child.kill(SIGKILL);
            REQUIRE(child.wait().was_killed_by(SIGKILL));
        }
        bool for_pins = false, for_leases = false;
        std::uint64_t asked = 0;
        {
            const FailingNew failing(1, true);
            for_pins = host.registry.dead_for_pins(slot);
            for_leases = host.registry.dead_for_leases(slot, incarnation);
            asked = failing.asked();
        }
        CHECK(for_pins == is_dead);
        CHECK(for_leases == is_dead);
        CHECK(asked == 0);
    }
}

TEST_CASE("Whichever allocation fails while a cache is opened, it is opened or refused", "[environment][fork]") {
    const Watchdog watchdog(300);
    const bool is_shared = GENERATE(false, true);  // then what is in the directory is looked at
    int refused = 0;
    std::string last;
    for (std::uint64_t n = 1; n < 1'000'000; n += 1 + n / 16) {
        const ScopedDirectory directory;
        if (is_shared) {
            std::filesystem::create_directory(directory.file("left.seg"));
            REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
        }
        const Options options = small_options(directory.path());
        const StageResult result = on_stage([&]() -> std::string {
            const FailingNew failing(n, false);
            try {
                const Cache cache = Cache::open(options);
            } catch (const std::exception&) {  // OpenError; std::bad_alloc where there is no memory for that
                return failing.asked() >= n ? "refused" : "refused at last";
            }
            return failing.asked() >= n ? "opened" : "opened at last";
        });
        INFO("allocation " << n << " fails");
        last = result.report;
        if (last == "opened at last" || last == "refused at last") break;
        if (last != "opened") CHECK(last == "refused");
        refused += last == "refused" ? 1 : 0;
    }
    CHECK(last == (is_shared ? "refused at last" : "opened at last"));
    CHECK(refused >= 10);
}
