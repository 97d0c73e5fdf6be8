#include "shm/leases.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "shm/system.hpp"
#include "shm/testing.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/plain_segment.hpp"

using namespace larder::shm;
using larder::test::Channel;
using larder::test::ChildProcess;
using larder::test::PlainSegment;
using Answer = Leases::Answer;

namespace {

constexpr std::uint64_t kKey = 0xABCDEF;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLeaseNs = 10 * kSecond;
const Holder kMe{1, 1}, kOther{2, 1}, kThird{3, 7};

bool all_live(const Holder&) { return false; }
bool other_is_dead(const Holder& holder) { return holder.slot == kOther.slot; }

// Keys of one group.
std::uint64_t neighbour(std::uint64_t n) { return kKey + (n << 40); }

struct Fixture {
    PlainSegment segment;
    Leases leases{segment.view()};
    std::int64_t now_ns = 5 * kSecond;

    Fixture() { Leases::format(segment.view()); }
    Leases::Acquired acquire(const Holder& who, std::uint64_t key = kKey, const HolderIsDead& is_dead = all_live) {
        return leases.acquire(key, who, now_ns, kLeaseNs, is_dead);
    }
    bool release(const Leases::Acquired& lease, LeaseState outcome, std::uint64_t as_of = 0) {
        return leases.release(lease.slot, lease.token, outcome, as_of, now_ns);
    }
    LeaseState observe(const Leases::Acquired& lease) { return leases.observe(lease.slot, lease.token).state; }
};

}  // namespace

TEST_CASE("One caller is granted a key's lease, the others wait for it", "[leases]") {
    Fixture f;
    const auto first = f.acquire(kMe), second = f.acquire(kOther), again = f.acquire(kMe);
    CHECK(first.answer == Answer::granted);
    CHECK_FALSE(first.took_over);
    CHECK(second.answer == Answer::wait);
    CHECK(again.answer == Answer::wait);
    CHECK(second.slot == first.slot);
    CHECK(second.token == first.token);
    CHECK(f.acquire(kOther, neighbour(1)).answer == Answer::granted);
}

TEST_CASE("A released lease goes to the next caller, with a token of its own", "[leases]") {
    Fixture f;
    const LeaseState outcome =
        GENERATE(LeaseState::stored, LeaseState::fenced, LeaseState::failed, LeaseState::abandoned);
    const auto first = f.acquire(kMe);
    REQUIRE(f.release(first, outcome));
    const auto second = f.acquire(kOther);
    CHECK(second.answer == Answer::granted);
    CHECK_FALSE(second.took_over);
    CHECK((second.slot != first.slot || second.token != first.token));
}

TEST_CASE("A waiter learns what became of the computation that it waited for", "[leases]") {
    Fixture f;
    const LeaseState outcome = GENERATE(LeaseState::stored, LeaseState::fenced, LeaseState::failed,
                                        LeaseState::uncacheable, LeaseState::abandoned);
    const auto lease = f.acquire(kMe), waiting = f.acquire(kOther);
    CHECK(f.observe(waiting) == LeaseState::held);
    REQUIRE(f.release(lease, outcome, 4711));
    CHECK(f.observe(waiting) == outcome);
    CHECK(f.leases.observe(waiting.slot, waiting.token).as_of == 4711);
}

TEST_CASE("A failure is told to those who waited for it, while a new caller computes", "[leases]") {
    Fixture f;
    const auto failing = f.acquire(kMe), waiting = f.acquire(kOther);
    REQUIRE(f.release(failing, LeaseState::failed));
    const auto fresh = f.acquire(kThird);
    CHECK(fresh.answer == Answer::granted);
    CHECK(f.observe(waiting) == LeaseState::failed);
    const auto later = f.acquire(kOther);
    CHECK(later.answer == Answer::wait);
    CHECK(later.token == fresh.token);
    CHECK(later.slot == fresh.slot);
    CHECK(f.observe(later) == LeaseState::held);
}

TEST_CASE("Failures of one key never keep its neighbours from a lease", "[leases]") {
    Fixture f;
    for (std::uint32_t i = 0; i < 3 * kLeasesPerLock; ++i) {
        const auto failing = f.acquire(kMe);
        REQUIRE(failing.answer == Answer::granted);
        REQUIRE(f.release(failing, LeaseState::failed));
    }
    CHECK(f.acquire(kMe, neighbour(1)).answer == Answer::granted);
}

TEST_CASE("A key found uncacheable has no queue for a second", "[leases]") {
    Fixture f;
    const auto lease = f.acquire(kMe);
    REQUIRE(f.release(lease, LeaseState::uncacheable));
    f.now_ns += kSecond - 1;
    CHECK(f.acquire(kMe).answer == Answer::uncacheable);
    CHECK(f.acquire(kOther).answer == Answer::uncacheable);
    f.now_ns += 1;
    CHECK(f.acquire(kOther).answer == Answer::granted);
}

TEST_CASE("A lease is taken over at its deadline, not before", "[leases]") {
    Fixture f;
    const auto first = f.acquire(kMe);
    f.now_ns += kLeaseNs - 1;
    CHECK(f.acquire(kOther).answer == Answer::wait);
    CHECK(f.leases.is_current(first.slot, first.token));
    f.now_ns += 1;
    const auto second = f.acquire(kOther);
    CHECK(second.answer == Answer::granted);
    CHECK(second.took_over);
    CHECK_FALSE(f.leases.is_current(first.slot, first.token));
    CHECK(f.leases.is_current(second.slot, second.token));
    CHECK(f.acquire(kThird).answer == Answer::wait);
}

TEST_CASE("A late holder can neither release nor change what its successor does", "[leases]") {
    Fixture f;
    const auto late = f.acquire(kMe), waiting = f.acquire(kThird);
    f.now_ns += kLeaseNs;
    const auto current = f.acquire(kOther);
    REQUIRE(current.took_over);
    CHECK_FALSE(f.release(late, LeaseState::failed));
    CHECK(f.leases.is_current(current.slot, current.token));
    CHECK(f.observe(waiting) == LeaseState::free);
    REQUIRE(f.release(current, LeaseState::stored));
    CHECK_FALSE(f.release(late, LeaseState::failed));
    CHECK_FALSE(f.release(current, LeaseState::failed));
    CHECK_FALSE(f.leases.is_current(current.slot, current.token));
    CHECK(f.observe(current) == LeaseState::stored);
}

TEST_CASE("The lease of a dead holder is taken over at once", "[R10][leases]") {
    Fixture f;
    const auto first = f.acquire(kOther);
    CHECK(f.acquire(kMe).answer == Answer::wait);
    const auto second = f.acquire(kMe, kKey, other_is_dead);
    CHECK(second.answer == Answer::granted);
    CHECK(second.took_over);
    CHECK_FALSE(f.release(first, LeaseState::stored));
}

TEST_CASE("A holder's death is asked about outside the lock, with its incarnation", "[leases]") {
    Fixture f;
    const auto held = f.acquire(kThird);
    Holder asked;
    Answer meanwhile = Answer::full;
    const auto got = f.acquire(kMe, kKey, [&](const Holder& holder) {
        asked = holder;
        meanwhile = f.acquire(kMe, neighbour(1)).answer;  // of the same group: full if its lock were held
        return false;
    });
    CHECK(got.answer == Answer::wait);
    CHECK(got.token == held.token);
    CHECK(asked.slot == kThird.slot);
    CHECK(asked.incarnation == kThird.incarnation);
    CHECK(meanwhile == Answer::granted);
}

TEST_CASE("A lease that changed hands while its dead holder was asked about is left alone", "[leases]") {
    Fixture f;
    f.acquire(kOther);
    Leases::Acquired between;
    const auto got = f.acquire(kMe, kKey, [&](const Holder&) {
        between = f.acquire(kThird, kKey, other_is_dead);
        return true;
    });
    REQUIRE(between.took_over);
    CHECK(got.answer == Answer::wait);
    CHECK(got.token == between.token);
    CHECK(f.leases.is_current(between.slot, between.token));
}

TEST_CASE("A dead holder's key that is computed elsewhere by then is waited for there", "[leases]") {
    Fixture f;
    std::vector<Leases::Acquired> others;
    const auto dead = f.acquire(kOther);
    for (std::uint32_t i = 1; i < kLeasesPerLock; ++i) others.push_back(f.acquire(kThird, neighbour(i)));
    Leases::Acquired next;
    const auto got = f.acquire(kMe, kKey, [&](const Holder&) {
        f.release(dead, LeaseState::stored);
        f.acquire(kThird, neighbour(100));
        f.release(others[4], LeaseState::stored);
        next = f.acquire(kThird);
        return true;
    });
    REQUIRE(next.slot != dead.slot);
    CHECK(got.answer == Answer::wait);
    CHECK(got.slot == next.slot);
}

TEST_CASE("A sweep leaves a lease whose holder changed while it asked", "[leases]") {
    Fixture f;
    const auto lease = f.acquire(kOther);
    const auto sweep = [&](const HolderIsDead& is_dead) { return f.leases.sweep(0, kLeaseLocks, f.now_ns, is_dead); };
    CHECK(sweep([&](const Holder&) {
              f.leases.slot(lease.slot).holder = kThird.slot;
              return true;
          }) == 0);
    CHECK(f.observe(lease) == LeaseState::held);
    CHECK(sweep([&](const Holder&) { return f.release(lease, LeaseState::stored); }) == 0);
    CHECK(f.observe(lease) == LeaseState::stored);
}

TEST_CASE("A full group says so, until one of its computations ends or is overdue", "[leases]") {
    Fixture f;
    std::vector<Leases::Acquired> held;
    for (std::uint32_t i = 0; i < kLeasesPerLock; ++i) held.push_back(f.acquire(kMe, neighbour(i)));
    for (const auto& lease : held) REQUIRE(lease.answer == Answer::granted);
    CHECK(f.acquire(kMe, neighbour(100)).answer == Answer::full);
    REQUIRE(f.release(held[7], LeaseState::stored));
    const auto next = f.acquire(kMe, neighbour(100));
    CHECK(next.answer == Answer::granted);
    CHECK(next.slot == held[7].slot);
    CHECK(f.acquire(kMe, neighbour(101)).answer == Answer::full);
    f.now_ns += kLeaseNs;
    const auto overdue = f.acquire(kMe, neighbour(101));
    CHECK(overdue.answer == Answer::granted);
    CHECK_FALSE(overdue.took_over);
}

TEST_CASE("A new key takes the outcome that is oldest", "[leases]") {
    Fixture f;
    std::vector<Leases::Acquired> held;
    for (std::uint32_t i = 0; i < kLeasesPerLock; ++i) held.push_back(f.acquire(kMe, neighbour(i)));
    for (const std::uint32_t i : {5U, 3U, 11U}) {
        f.now_ns += 1000;
        REQUIRE(f.release(held[i], LeaseState::failed));
    }
    CHECK(f.acquire(kMe, neighbour(100)).slot == held[5].slot);
    CHECK(f.acquire(kMe, neighbour(101)).slot == held[3].slot);
    CHECK(f.observe(held[11]) == LeaseState::failed);
    CHECK(f.observe(held[3]) == LeaseState::free);
}

TEST_CASE("A sweep ends the leases of the dead and of nobody else", "[leases]") {
    Fixture f;
    const auto dead = f.acquire(kOther), live = f.acquire(kThird, neighbour(1));
    const auto elsewhere = f.acquire(kOther, kKey + (1ULL << 32));
    const std::uint32_t group = Leases::group_of(kKey);
    CHECK(f.leases.sweep((group + 2) % kLeaseLocks, kLeaseLocks - 2, f.now_ns, other_is_dead) == 0);
    CHECK(f.leases.sweep(group, 1, f.now_ns, other_is_dead) == 1);
    CHECK(f.observe(dead) == LeaseState::abandoned);
    CHECK(f.observe(live) == LeaseState::held);
    CHECK(f.observe(elsewhere) == LeaseState::held);
    CHECK(f.leases.sweep(0, 1000, f.now_ns, other_is_dead) == 1);
    CHECK(f.observe(elsewhere) == LeaseState::abandoned);
}

TEST_CASE("A wait ends by itself, and at once when the word has changed", "[R5][leases]") {
    Fixture f;
    const auto lease = f.acquire(kMe), waiting = f.acquire(kOther);
    f.leases.wait(waiting.slot, waiting.word, kSecond);
    CHECK(f.observe(waiting) == LeaseState::held);
    f.leases.wait(waiting.slot, waiting.word, 0);
    REQUIRE(f.release(lease, LeaseState::stored));
    f.leases.wait(waiting.slot, waiting.word, kSecond);
    CHECK(f.leases.slot(waiting.slot).waiters.load() == 0);
}

TEST_CASE("The end of a lease wakes its waiters, whatever their number says", "[leases]") {
    Fixture f;
    const auto lease = f.acquire(kMe);
    system::fail_nothing();
    REQUIRE(f.release(lease, LeaseState::stored));
    CHECK(system::calls_made(system::Call::futex_wake) == 1);
    f.acquire(kOther);
    REQUIRE(f.leases.sweep(Leases::group_of(kKey), 1, f.now_ns, other_is_dead) == 1);
    CHECK(system::calls_made(system::Call::futex_wake) == 2);
    CHECK_FALSE(f.release(lease, LeaseState::stored));
    CHECK(system::calls_made(system::Call::futex_wake) == 2);
}

TEST_CASE("Callers of one key compute one at a time, and all see the last value", "[leases][tsan]") {
    constexpr int kThreads = 4, kRounds = 200;
    Fixture f;
    std::array<int, 2> computed{};  // guarded by the keys' leases: a second holder is a data race
    std::atomic<int> overlaps{0}, granted{0};
    std::array<std::atomic<int>, 2> inside{};
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            for (int round = 0; round < kRounds;) {
                const std::size_t key = static_cast<std::size_t>(round % 2);
                const auto got = f.acquire({t, 1}, neighbour(key));
                if (got.answer == Answer::wait) f.leases.wait(got.slot, got.word, kSecond);
                if (got.answer != Answer::granted) continue;
                if (inside[key].fetch_add(1) != 0) ++overlaps;
                ++computed[key];
                inside[key].fetch_sub(1);
                if (!f.release(got, LeaseState::stored)) ++overlaps;
                ++granted;
                ++round;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(overlaps == 0);
    CHECK(granted == kThreads * kRounds);
    CHECK(computed[0] + computed[1] == kThreads * kRounds);
}

TEST_CASE("Random calls agree with a plain model of one lease per key", "[R10][leases]") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 engine(seed);
    const auto random = [&engine] { return static_cast<std::uint32_t>(engine()); };
    Fixture f;
    struct Held {
        Leases::Acquired lease;
        Holder holder;
        std::int64_t deadline_ns;
    };
    std::map<std::uint64_t, Held> model;
    std::vector<Leases::Acquired> void_ones;
    for (int step = 0; step < 20'000; ++step) {
        const std::uint64_t key = neighbour(random() % 12);
        const Holder who{random() % 4, 1};
        const std::uint32_t dead = random() % 8;  // 0..3: that slot's process
        const auto found = model.find(key);
        f.now_ns += random() % (kLeaseNs / 20);
        if (random() % 2 == 0) {
            const auto got = f.acquire(who, key, [&](const Holder& holder) { return holder.slot == dead; });
            const bool held = found != model.end();
            const bool take = held && (found->second.deadline_ns <= f.now_ns ||
                                       (found->second.holder.slot == dead && dead != who.slot));
            REQUIRE((got.answer == Answer::granted) == (!held || take));
            REQUIRE(got.took_over == take);
            if (got.answer == Answer::wait) REQUIRE(got.token == found->second.lease.token);
            if (take) void_ones.push_back(found->second.lease);
            if (got.answer == Answer::granted) model[key] = {got, who, f.now_ns + kLeaseNs};
        } else if (found != model.end()) {
            REQUIRE(f.leases.is_current(found->second.lease.slot, found->second.lease.token));
            REQUIRE(f.release(found->second.lease, random() % 2 == 0 ? LeaseState::stored : LeaseState::failed));
            void_ones.push_back(found->second.lease);
            model.erase(found);
        }
        if (!void_ones.empty()) {
            const auto& late = void_ones[random() % void_ones.size()];
            REQUIRE_FALSE(f.leases.is_current(late.slot, late.token));
            REQUIRE_FALSE(f.release(late, LeaseState::stored));
        }
    }
}

namespace {

// What a child does before it is killed at a crash point inside the group's lock.
enum class Situation { fresh, reuse, take_over_dead, take_over_late };

void prepare(Fixture& f, Situation situation) {
    if (situation == Situation::fresh) return;
    if (situation == Situation::reuse) {  // of a slot whose outcome would be wrong for another key
        std::vector<Leases::Acquired> held;
        for (std::uint64_t n = 1; n <= kLeasesPerLock; ++n) held.push_back(f.acquire(kMe, neighbour(n)));
        for (const auto& lease : held) REQUIRE(f.release(lease, LeaseState::uncacheable));
    } else {
        REQUIRE(f.acquire(kThird).answer == Answer::granted);
    }
    if (situation == Situation::take_over_late) f.now_ns += kLeaseNs;
}

void act(Fixture& f, Situation situation) {
    const auto third_is_dead = [](const Holder& holder) { return holder.slot == kThird.slot; };
    const auto lease =
        situation == Situation::take_over_dead ? f.acquire(kOther, kKey, third_is_dead) : f.acquire(kOther);
    f.release(lease, LeaseState::stored, 99);
}

}  // namespace

TEST_CASE("A process killed anywhere in a lease's section leaves the key to exactly one other", "[R10][leases][fork]") {
    const std::string point =
        GENERATE("lease.grant.freed", "lease.grant.token", "lease.grant.holder", "lease.grant.word", "lease.grant.held",
                 "lease.finish.changed", "lease.finish.word", "lease.finish.state", "lease.release.before_wake");
    const Situation situation =
        GENERATE(Situation::fresh, Situation::reuse, Situation::take_over_dead, Situation::take_over_late);
    const bool takes_over = situation == Situation::take_over_dead || situation == Situation::take_over_late;
    if (takes_over && point == "lease.grant.freed") return;  // a take-over keeps the slot
    CAPTURE(point, static_cast<int>(situation));
    Fixture f;
    prepare(f, situation);
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        act(f, situation);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));

    const auto both_are_dead = [](const Holder& holder) { return holder.slot != kMe.slot; };
    const auto next = f.acquire(kMe, kKey, both_are_dead);
    REQUIRE(next.answer == Answer::granted);
    CHECK(f.acquire(kMe, kKey, both_are_dead).answer == Answer::wait);
    CHECK(f.leases.is_current(next.slot, next.token));
    CHECK(f.acquire(kMe, neighbour(50)).answer == Answer::granted);
    REQUIRE(f.release(next, LeaseState::stored, 5));
    CHECK(f.leases.observe(next.slot, next.token).as_of == 5);
}

TEST_CASE("A sweep ends what a process killed in a lease's section left held", "[leases][fork]") {
    const std::string point = GENERATE("lease.grant.held", "lease.finish.changed", "lease.finish.word");
    CAPTURE(point);
    Fixture f;
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        act(f, Situation::fresh);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    CHECK(f.leases.sweep(0, kLeaseLocks, f.now_ns, other_is_dead) == 1);
    CHECK(f.leases.sweep(0, kLeaseLocks, f.now_ns, other_is_dead) == 0);
    CHECK(f.acquire(kMe).answer == Answer::granted);
}

TEST_CASE("A process killed while it ends a dead one's lease leaves it to the next sweep", "[leases][fork]") {
    const std::string point = GENERATE("lease.finish.changed", "lease.finish.word", "lease.finish.state");
    CAPTURE(point);
    Fixture f;
    const auto lease = f.acquire(kOther);
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash(point);
        f.leases.sweep(0, kLeaseLocks, f.now_ns, other_is_dead);
        return 0;
    });
    REQUIRE(child.wait().was_killed_by(SIGKILL));
    f.leases.sweep(0, kLeaseLocks, f.now_ns, other_is_dead);
    CHECK(f.observe(lease) == LeaseState::abandoned);
    CHECK(f.acquire(kMe).answer == Answer::granted);
}

TEST_CASE("Waiters that were killed change nothing for those who live", "[R10][leases][fork]") {
    Fixture f;
    const auto lease = f.acquire(kMe), waiting = f.acquire(kThird);
    for (int i = 0; i < 3; ++i) {
        auto child = ChildProcess::start([&](Channel&) {
            testing::arm_crash("lease.wait");
            f.leases.wait(waiting.slot, waiting.word, kSecond);
            return 0;
        });
        REQUIRE(child.wait().was_killed_by(SIGKILL));
    }
    CHECK(f.leases.slot(waiting.slot).waiters.load() == 3);
    auto waiter = ChildProcess::start([&](Channel& parent) {
        parent.tell('w');
        while (f.observe(waiting) == LeaseState::held) f.leases.wait(waiting.slot, waiting.word, kSecond);
        return f.observe(waiting) == LeaseState::stored ? 0 : 1;
    });
    REQUIRE(waiter.hear() == 'w');
    REQUIRE(f.release(lease, LeaseState::stored));
    CHECK(waiter.wait().exited_with(0));
    const auto next = f.acquire(kOther);
    REQUIRE(next.slot == lease.slot);
    CHECK(f.leases.slot(next.slot).waiters.load() == 0);
}

TEST_CASE("While a process is stopped inside a group's lock its keys are computed without a lease",
          "[R5][leases][fork]") {
    Fixture f;
    const auto held = f.acquire(kMe, neighbour(1));
    auto child = ChildProcess::start([&](Channel&) {
        testing::arm_crash("lease.grant.word", 1, testing::Death::stop);
        return f.acquire(kOther).answer == Answer::granted ? 0 : 1;
    });
    REQUIRE(child.wait_for_stop());
    CHECK(f.acquire(kMe).answer == Answer::full);
    CHECK(f.observe(held) == LeaseState::held);
    CHECK_FALSE(f.release(held, LeaseState::stored));
    CHECK(f.acquire(kMe, kKey + (1ULL << 32)).answer == Answer::granted);
    child.kill(SIGCONT);
    REQUIRE(child.wait().exited_with(0));
    CHECK(f.acquire(kMe).answer == Answer::wait);
    CHECK(f.release(held, LeaseState::stored));
}
