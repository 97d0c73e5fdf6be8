#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>

#include "shm/process.hpp"
#include "shm/registry.hpp"
#include "tests/support/registry_host.hpp"

using namespace larder;
using namespace larder::shm;
using test::Channel;
using test::ChildProcess;
using Host = test::RegistryHost;

namespace {

/// What earlier cases of this process have freed, and the heap would give again.
void take_all_memory() {
    static std::atomic<void*> last;  // what is stored there the compiler has to allocate
    for (std::size_t bytes = 1 << 20; bytes >= 16; bytes /= 2) {
        do {
            last = std::malloc(bytes);
        } while (last != nullptr);
    }
}

}  // namespace

TEST_CASE("a scan finds pins of the living, and not of the dead") {
    Host host;
    const auto mine = host.claim();
    host.pin(mine->slot, 1000, 15, 3);
    std::uint32_t slot = 0;
    auto child = host.attached_child(slot);
    {
        PinScan scan(host.view(), host.registry);
        CHECK(scan.count() == 2);
        CHECK(scan.pinned(1000));
        CHECK(scan.pinned(77));
        CHECK_FALSE(scan.pinned(78));
        CHECK(scan.any_between(70, 80));
        CHECK(scan.any_between(77, 78));
        CHECK_FALSE(scan.any_between(70, 77));
        CHECK_FALSE(scan.any_between(78, 1000));
        CHECK(scan.any_between(0, ~0ULL));
    }
    child.kill(SIGKILL);
    child.wait();
    PinScan scan(host.view(), host.registry);
    CHECK_FALSE(scan.pinned(77));
    CHECK(scan.pinned(1000));
    CHECK(scan.any_between(70, 1001));
}

TEST_CASE("one record pinned by a dead and a living process is pinned") {
    Host host;
    std::uint32_t first = 0, second = 0;
    auto dead = host.attached_child(first);
    auto living = host.attached_child(second);
    dead.kill(SIGKILL);
    dead.wait();
    CHECK(PinScan(host.view(), host.registry).pinned(77));
}

TEST_CASE("a scan sees as many pins as there can be") {
    Host host;
    const auto mine = host.claim();
    host.view().header().registry_high = kProcesses;
    host.slot(mine->slot).blocks_high = kThreadBlocks;
    const process::Status other = process::status_of(static_cast<std::uint32_t>(::getppid()));
    std::uint64_t units = 10;
    for (std::uint32_t slot = 0; slot < kProcesses; ++slot) {
        if (slot != mine->slot) {
            host.slot(slot).pid = other.pid;
            host.slot(slot).start_ticks = other.start_ticks;
        }
        for (std::uint32_t block = 0; block < kThreadBlocks; ++block)
            for (std::uint32_t cell = 0; cell < kPinCells; ++cell) host.pin(slot, units += 10, block, cell);
    }
    PinScan scan(host.view(), host.registry);
    CHECK(scan.count() == kProcesses * kThreadBlocks * kPinCells);
    for (std::uint64_t pinned = 20; pinned <= units; pinned += 10) {
        REQUIRE(scan.pinned(pinned));
        REQUIRE_FALSE(scan.pinned(pinned + 1));
    }
}

TEST_CASE("a scan of many pins without memory for them holds everything for pinned", "[no_asan]") {
    Host host;
    auto child = ChildProcess::start([&](Channel&) {
        const auto mine = host.claim();
        if (!mine) return 1;
        host.view().header().registry_high = kProcesses;
        for (std::uint32_t slot = 0; slot < kProcesses; ++slot)
            for (std::uint32_t cell = 0; cell < kPinCells; ++cell) host.pin(slot, 10 + slot, 0, cell);
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_AS, &none) != 0) return 2;
        take_all_memory();
        PinScan scan(host.view(), host.registry);
        return scan.pinned(1) && scan.any_between(5'000, 6'000) ? 0 : 3;
    });
    CHECK(child.wait().exited_with(0));
}
