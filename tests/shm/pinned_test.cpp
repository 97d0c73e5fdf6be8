// Handles: what they hold stays as it is, whatever happens to the entry, to threads and to processes.
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "shm/cache.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using shm::Counter;

namespace {

/// Overwrites, evicts, erases and invalidates until every byte that is free was used again.
void churn(Cache& cache, std::string_view key) {
    for (std::uint64_t i = 2; i < 300; ++i) {
        cache.put(key, proving_value(key, i, 20'000));
        const std::string other = "other:" + std::to_string(i % 70);
        cache.put(other, proving_value(other, i, 20'000));
        if (i % 50 == 0) cache.erase(key);
        if (i % 90 == 0) cache.invalidate_all();
    }
}

}  // namespace

TEST_CASE("A value stays intact while its key is overwritten, evicted and erased", "[pinned]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    Pinned held = scoped.cache.get("key");
    REQUIRE(proven_version("key", held.value()) == 1);
    const char* const where = held.value().data();
    CHECK(reinterpret_cast<std::uintptr_t>(where) % 16 == 0);
    churn(scoped.cache, "key");
    CHECK(held.value().data() == where);
    CHECK(proven_version("key", held.value()) == 1);
    CHECK(held.state() == State::live);
    const std::uint64_t with_pin = scoped.used_bytes();
    held.reset();
    CHECK(held.state() == State::none);
    CHECK(held.value().empty());
    scoped.cache.tend();
    CHECK(scoped.used_bytes() < with_pin - 20'000);
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A record replaced between a slot's reading and its pin is not handed out", "[pinned]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    shm::testing::call_at_crash_point("lookup.loaded", 1, [&scoped] {
        REQUIRE(scoped.cache.put("key", proving_value("key", 2, 20'000)) == PutResult::stored);
    });
    const Pinned held = scoped.cache.get("key");
    shm::testing::disarm_crash();
    CHECK(proven_version("key", held.value()) == 2);
}

TEST_CASE("The fifth handle of a thread is a copy of its own", "[pinned]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    std::array<Pinned, 6> held;
    for (Pinned& one : held) one = scoped.cache.get("key");
    for (std::size_t i = 1; i < 4; ++i) CHECK(held[i].value().data() == held[0].value().data());
    CHECK(held[4].value().data() != held[0].value().data());
    CHECK(reinterpret_cast<std::uintptr_t>(held[4].value().data()) % 16 == 0);
    CHECK(scoped.count(Counter::copied_reads) == 2);
    CHECK(scoped.count(Counter::hits) == 6);
    churn(scoped.cache, "key");
    for (const Pinned& one : held) CHECK(proven_version("key", one.value()) == 1);
    held[0].reset();
    CHECK(scoped.cache.put("key", "new") == PutResult::stored);
    const std::uint64_t copied = scoped.count(Counter::copied_reads);
    held[5] = scoped.cache.get("key");
    CHECK(held[5].value() == "new");
    CHECK(scoped.count(Counter::copied_reads) == copied);
}

TEST_CASE("A moved handle is one handle", "[pinned]") {
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", "value") == PutResult::stored);
    Pinned one = scoped.cache.get("key");
    Pinned two = std::move(one);
    CHECK(one.state() == State::none);
    CHECK(one.value().empty());
    CHECK(two.value() == "value");
    one = std::move(two);
    CHECK(one.value() == "value");
    Pinned& same = one;
    one = std::move(same);
    CHECK(one.value() == "value");
    const auto pins = [&] { return shm::read_processes(scoped.view())[0].pins.size(); };
    CHECK(pins() == 1);
    one.reset();
    CHECK(pins() == 0);
}

TEST_CASE("A handle outlives its Cache and its thread, and may be dropped by another", "[pinned][tsan]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    Pinned held;
    std::thread([&] {
        Cache brief = Cache::open(scoped.options);
        held = brief.get("key");
    }).join();
    churn(scoped.cache, "key");
    CHECK(proven_version("key", held.value()) == 1);
    std::thread([&, moved = std::move(held)]() mutable {
        CHECK(proven_version("key", moved.value()) == 1);
        moved.reset();
    }).join();
    CHECK(held.state() == State::none);
    scoped.cache.tend();
    for (const shm::ProcessFacts& process : shm::read_processes(scoped.view())) CHECK(process.pins.empty());
}

TEST_CASE("In a forked child handles and leases read as empty, and its parent's stay", "[R14][pinned][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    Pinned held = scoped.cache.get("key");
    std::array<Pinned, 5> more;
    for (Pinned& one : more) one = scoped.cache.get("key");
    Begun begun = scoped.cache.begin("absent");
    REQUIRE(std::holds_alternative<Lease>(begun));
    ChildProcess child = ChildProcess::start([&](Channel&) {
        if (held || held.state() != State::none || !held.value().empty()) return 1;
        if (more[4].state() != State::none) return 2;
        Lease& lease = std::get<Lease>(begun);
        if (lease || scoped.cache.fill(std::move(lease), "value") != PutResult::busy) return 3;
        Pinned own = scoped.cache.get("key");
        if (proven_version("key", own.value()) != 1) return 4;
        held.reset();
        for (Pinned& one : more) one.reset();
        churn(scoped.cache, "key");
        return proven_version("key", own.value()) == 1 ? 0 : 5;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(proven_version("key", held.value()) == 1);
    for (const Pinned& one : more) CHECK(proven_version("key", one.value()) == 1);
    CHECK(std::get<Lease>(begun));
    CHECK(scoped.cache.fill(std::move(std::get<Lease>(begun)), "value") ==
          PutResult::fenced);  // by the child's notices
    CHECK(first_violation(scoped.view()) == "");
}

TEST_CASE("A dead process's pins are given back, a stopped one's are not", "[pinned][fork]") {
    const Watchdog watchdog;
    ScopedCache scoped;
    REQUIRE(scoped.cache.put("key", proving_value("key", 1, 20'000)) == PutResult::stored);
    ChildProcess reader = ChildProcess::start([&](Channel& parent) {
        const Pinned held = scoped.cache.get("key");
        parent.tell('h');
        parent.hear();
        return proven_version("key", held.value()) == 1 ? 0 : 1;
    });
    REQUIRE(reader.hear() == 'h');
    reader.kill(SIGSTOP);
    REQUIRE(reader.wait_for_stop());
    churn(scoped.cache, "key");
    scoped.cache.tend();
    const std::uint64_t with_pin = scoped.used_bytes();
    const bool dies = GENERATE(false, true);
    if (dies) reader.kill(SIGKILL);
    reader.kill(SIGCONT);
    reader.tell('g');
    CHECK((dies ? reader.wait().was_killed_by(SIGKILL) : reader.wait().exited_with(0)));
    scoped.cache.tend();
    CHECK(scoped.used_bytes() < with_pin - 20'000);
}
