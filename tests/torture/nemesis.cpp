#include "tests/torture/nemesis.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "shm/inspector.hpp"
#include "shm/system.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"

namespace larder::torture {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kHangNs = 10'000'000'000;     // R1: what counts as blocked
constexpr std::int64_t kCleaningNs = 5'000'000'000;  // R15 says one second, on a machine that has it
constexpr std::uint64_t kStructureRounds = 50;

std::int64_t now_ns() { return shm::system::monotonic_ns(); }

template <class Condition>
bool eventually(Condition&& condition, std::int64_t patience_ns) {
    for (const std::int64_t until_ns = now_ns() + patience_ns; now_ns() < until_ns; ::sched_yield())
        if (condition()) return true;
    return condition();
}

}  // namespace

Nemesis::Nemesis(const shm::SegmentView& view, KillWorld& world, Start start, std::uint64_t seed)
    : view_(view), world_(world), start_(std::move(start)), random_(seed) {}

Nemesis::~Nemesis() {
    for (pid_t& pid : pids_) test::end(pid);
}

KillReport Nemesis::run(std::uint64_t kills, std::chrono::seconds limit) {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(limit).count();
    begin();
    while (report_.failure.empty() && report_.kills + report_.aborts < kills && now_ns() < until_ns) {
        strike();
        if (world_->round % kStructureRounds == 0) check_structure();
    }
    end();
    return std::move(report_);
}

void Nemesis::begin() {
    for (std::uint32_t actor = 0; actor < kActors; ++actor) {
        pids_[actor] = start_(actor);
        if (!eventually([&] { return world_->actors[actor].pid == pids_[actor]; }, kHangNs))
            fail("R1", "an actor does not start");
    }
    rebuilds_before_ = rebuilds();
}

/// A quarter aims at two: one in a section, and whoever rebuilds what it left. That would be a fifth of all deaths, but
/// a rebuild is short, and half of them are missed. The others: 70 % SIGKILL, 15 % SIGSTOP, 15 % SIGABRT, half of them
/// aimed at a process inside a writing section.
void Nemesis::strike() {
    if (random_() % 4 == 0)
        if (std::vector<Victim> victims = kill_rebuilder(); !victims.empty()) return see_to_the_dead(victims);
    std::uint32_t actor = any_actor();
    if (random_() % 2 == 0) actor = actor_inside(false, 2ms).value_or(actor);
    const std::uint64_t how = random_() % 100;
    if (how >= 85) stop_for_a_while(actor);
    if (how >= 93) {
        ::kill(pids_[actor], SIGCONT);
        return see_to_the_living({});
    }
    std::vector<Victim> victims{kill(actor, how >= 70 && how < 85 ? SIGABRT : SIGKILL)};
    see_to_the_dead(victims);
}

/// One that dies in a section, and another at rebuilding it. None: nobody was met in a section.
std::vector<Nemesis::Victim> Nemesis::kill_rebuilder() {
    std::vector<Victim> victims;
    for (const bool rebuilding : {false, true})
        if (const auto actor = stop_inside(rebuilding, 50ms)) {
            victims.push_back({.actor = *actor, .was_stopped = true, .was_inside = true, .was_rebuilding = rebuilding});
            end_with(victims.back(), random_() % 4 == 0 ? SIGABRT : SIGKILL);
        } else {
            break;
        }
    return victims;
}

void Nemesis::see_to_the_dead(std::vector<Victim>& victims) {
    for (Victim& victim : victims) bury(victim);
    see_to_the_living(victims);
}

void Nemesis::see_to_the_living(const std::vector<Victim>& victims) {
    await_answers(victims);
    check_rebuilds(victims);
    check_cleaning();
}

void Nemesis::stop_for_a_while(std::uint32_t actor) {
    ++report_.stops;
    test::stop(pids_[actor]);
    const double decades = static_cast<double>(random_() % 1000) / 1000.0 * 2.0;  // 5 to 500 ms, short ones more often
    shm::system::sleep_ns(static_cast<std::int64_t>(5e6 * std::pow(10.0, decades)));
}

/// Half of the victims are stopped first: then it is known where they die.
Nemesis::Victim Nemesis::kill(std::uint32_t actor, int signal) {
    Victim victim{actor};
    victim.was_stopped = signal == SIGKILL && random_() % 2 == 0;
    if (victim.was_stopped) {
        test::stop(pids_[actor]);
        victim.was_inside = section_of(actor).has_value();
    }
    end_with(victim, signal);
    return victim;
}

void Nemesis::end_with(const Victim& victim, int signal) {
    ::kill(pids_[victim.actor], signal);
    // A process that is stopped dies of SIGABRT when it goes on.
    if (victim.was_stopped && signal != SIGKILL) ::kill(pids_[victim.actor], SIGCONT);
    ++(signal == SIGABRT ? report_.aborts : report_.kills);
}

/// Another takes its place.
void Nemesis::bury(Victim& victim) {
    pid_t& pid = pids_[victim.actor];
    if (!eventually([&] { return test::is_dead(pid); }, kHangNs)) fail("R1", "a killed process does not die");
    ActorState& state = world_->actors[victim.actor];
    const auto inside = section_of(victim.actor);  // unless a survivor has cleaned the slot already
    report_.inside += victim.was_inside || inside ? 1 : 0;
    report_.rebuilding += victim.was_rebuilding || (inside && inside->rebuilding) ? 1 : 0;
    victim.may_break = victim.was_stopped ? victim.was_inside : state.doing == Doing::writing;
    ::waitpid(pid, nullptr, 0);
    state.pid = 0;
    pid = start_(victim.actor);
}

/// An actor in a section, or one that rebuilds in it. Never yields: sections take microseconds.
std::optional<std::uint32_t> Nemesis::actor_inside(bool rebuilding, std::chrono::microseconds patience) const {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(patience).count();
    while (now_ns() < until_ns)
        for (std::uint32_t actor = 0; actor < kActors; ++actor)
            if (is_inside(actor, rebuilding)) return actor;
    return std::nullopt;
}

/// The same, and it is stopped there.
std::optional<std::uint32_t> Nemesis::stop_inside(bool rebuilding, std::chrono::microseconds patience) const {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(patience).count();
    while (now_ns() < until_ns) {
        const auto actor = actor_inside(rebuilding, 1ms);
        if (!actor) continue;
        test::stop(pids_[*actor]);
        if (test::is_dead(pids_[*actor])) break;
        if (is_inside(*actor, rebuilding)) return actor;
        ::kill(pids_[*actor], SIGCONT);
    }
    return std::nullopt;
}

bool Nemesis::is_inside(std::uint32_t actor, bool rebuilding) const {
    const auto inside = section_of(actor);
    return inside && inside->rebuilding == rebuilding;
}

std::optional<test::Section> Nemesis::section_of(std::uint32_t actor) const {
    return test::section_of(view_, pids_[actor]);
}

/// Everybody finishes an operation on every shard.
void Nemesis::await_answers(const std::vector<Victim>& victims) {
    const std::uint64_t round = ++world_->round;
    const auto answered = [&](std::uint32_t actor) { return world_->actors[actor].answered >= round; };
    for (std::uint32_t actor = 0; actor < kActors; ++actor) {
        if (!eventually([&] { return answered(actor) || test::is_dead(pids_[actor]); }, kHangNs))
            return fail("R1", "process " + std::to_string(pids_[actor]) + " finished nothing for 10 s after a kill");
        if (test::is_dead(pids_[actor])) return fail("R1", "a survivor died");
        const bool is_new = std::any_of(victims.begin(), victims.end(),
                                        [actor](const Victim& victim) { return victim.actor == actor; });
        if (is_new) continue;
        for (const auto& answer_ns : world_->actors[actor].answers_ns) report_.answers_ns.push_back(answer_ns);
    }
    if (world_->wrong != Wrong::none)
        fail("R3", "wrong bytes or an exception, kind " + std::to_string(static_cast<int>(world_->wrong.load())));
}

/// A kill costs at most one shard, and none outside of a writing section.
void Nemesis::check_rebuilds(const std::vector<Victim>& victims) {
    const std::array<std::uint64_t, kShards> now = rebuilds();
    std::uint64_t shards = 0;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
        shards += now[shard] != rebuilds_before_[shard] ? 1 : 0;
        report_.rebuilds += now[shard] - rebuilds_before_[shard];
    }
    rebuilds_before_ = now;
    const auto breakers = static_cast<std::uint64_t>(
        std::count_if(victims.begin(), victims.end(), [](const Victim& victim) { return victim.may_break; }));
    if (shards > breakers)
        fail("R2", std::to_string(shards) + " shards were rebuilt after " + std::to_string(breakers) +
                       " deaths inside a writing section");
}

/// Slots, pins and leases of the dead are back within a second.
void Nemesis::check_cleaning() {
    const std::int64_t now = now_ns();
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::int64_t> dead;
    for (const shm::ProcessFacts& process : shm::read_processes(view_)) {
        if (process.alive) continue;
        const auto id = std::pair(process.slot, process.incarnation);
        const auto known = dead_since_ns_.find(id);
        dead[id] = known == dead_since_ns_.end() ? now : known->second;
        report_.slowest_cleaning_ns = std::max(report_.slowest_cleaning_ns, now - dead[id]);
        if (now - dead[id] > kCleaningNs) fail("R15", "the slot of a dead process was not given back within 5 s");
    }
    dead_since_ns_ = std::move(dead);
}

/// While nobody writes, the whole segment is looked through.
void Nemesis::check_structure() {
    world_->pause = true;
    for (std::uint32_t actor = 0; actor < kActors; ++actor)
        if (!eventually([&] { return world_->actors[actor].paused.load(); }, kHangNs)) return fail("R1", "no pause");
    if (const std::string violation = test::first_violation(view_); !violation.empty()) fail("R3", violation);
    world_->pause = false;
    for (std::uint32_t actor = 0; actor < kActors; ++actor)
        if (!eventually([&] { return !world_->actors[actor].paused; }, kHangNs)) return fail("R1", "no end of a pause");
}

void Nemesis::end() {
    world_->stop = true;
    for (pid_t& pid : pids_) {
        if (!eventually([&] { return test::is_dead(pid); }, kHangNs)) fail("R1", "a process does not end");
        test::end(pid);
    }
    for (const ActorState& actor : world_->actors) report_.operations += actor.operations;
}

void Nemesis::fail(const char* promise, const std::string& what) {
    if (!report_.failure.empty()) return;
    report_.broken = promise;
    report_.failure = what;
}

std::array<std::uint64_t, kShards> Nemesis::rebuilds() const {
    std::array<std::uint64_t, kShards> all{};
    for (std::uint32_t shard = 0; shard < kShards; ++shard) all[shard] = view_.shard(shard).rebuilds;
    return all;
}

}  // namespace larder::torture
