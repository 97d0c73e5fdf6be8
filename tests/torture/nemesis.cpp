#include "tests/torture/nemesis.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "shm/inspector.hpp"
#include "shm/system.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/invariants.hpp"

namespace larder::torture {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNeverNs = std::chrono::nanoseconds(test::kHang).count();  // R15: not given back
constexpr std::int64_t kSliceNs = 10'000, kLookNs = 1'000'000;
constexpr std::int64_t kScheduledNs = 20'000'000;  // by then a process that may run does, on a machine with other work
constexpr std::uint64_t kStructureRounds = 50;
constexpr double kRebuildingShare = 0.2;                         // of all deaths
constexpr double kFewestRebuilding = 0.02, kFewestInside = 0.3;  // on a machine with much other work, too
constexpr std::uint64_t kAimedDeaths = 500;                      // of fewer shares say nothing

std::int64_t now_ns() { return shm::system::monotonic_ns(); }

/// What it has had of processors. 0: not to be learnt.
std::int64_t run_time_ns(pid_t pid) {
    clockid_t clock = 0;
    timespec time{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

/// R1: what does not come true within this time is blocked.
template <class Condition>
bool soon(Condition&& condition) {
    return test::eventually(condition, test::kHang);
}

}  // namespace

Nemesis::Nemesis(const shm::SegmentView& view, KillWorld& world, Start start, std::uint64_t seed)
    : view_(view), world_(world), start_(std::move(start)), random_(seed), estates_(view) {}

Nemesis::~Nemesis() {
    for (pid_t& pid : pids_) test::end(pid);
}

KillReport Nemesis::run(std::uint64_t kills, std::chrono::seconds limit) {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(limit).count();
    begin();
    while (report_.failure.empty() && report_.deaths() < kills && now_ns() < until_ns) {
        strike();
        if (world_->round % kStructureRounds == 0) check_structure();
    }
    await_returns();
    end();
    check_aim(kills);
    report_.returns_ns = estates_.times_ns();
    return std::move(report_);
}

void Nemesis::begin() {
    for (std::uint32_t actor = 0; actor < kActors; ++actor) {
        pids_[actor] = start_(actor);
        if (!soon([&] { return world_->actors[actor].pid == pids_[actor]; })) fail("R1", "an actor does not start");
    }
    rebuilds_before_ = rebuilds();
}

/// While fewer than a fifth of all have died inside a rebuild, every other strike aims at two: one in a section, and
/// whoever rebuilds what it left. The others: 70 % SIGKILL, 15 % SIGSTOP, 15 % SIGABRT, half of them aimed at a process
/// inside a writing section.
void Nemesis::strike() {
    const bool is_short =
        static_cast<double>(report_.rebuilding) < kRebuildingShare * static_cast<double>(report_.deaths());
    if (is_short && random_() % 2 == 0)
        if (std::vector<Victim> victims = kill_rebuilder(); !victims.empty()) return see_to_the_dead(victims);
    std::uint32_t actor = any_actor();
    if (random_() % 2 == 0) actor = actor_inside(Place::section, 2ms).value_or(actor);
    const std::uint64_t how = random_() % 100;
    if (how >= 85) stop_for_a_while(actor);
    if (how >= 93) {
        ::kill(pids_[actor], SIGCONT);
        return see_to_the_living({});
    }
    std::vector<Victim> victims{kill(actor, how >= 70 && how < 85 ? SIGABRT : SIGKILL)};
    see_to_the_dead(victims);
}

/// One that dies in a section, and another at rebuilding it, while all others stand still. None: nobody was met in a
/// section.
std::vector<Nemesis::Victim> Nemesis::kill_rebuilder() {
    std::vector<Victim> victims;
    const auto first = stop_inside(Place::half_edited, 50ms);
    if (!first) return victims;
    for (const pid_t pid : pids_) test::stop(pid);
    victims.push_back({.actor = *first, .was_stopped = true, .section = section_of(*first)});
    end_with(victims.back(), any_signal());
    const std::uint32_t heir = (*first + 1 + any_actor() % (kActors - 1)) % kActors;
    if (stop_rebuilding(heir, victims.back().section->shard, 50ms)) {
        victims.push_back({.actor = heir, .was_stopped = true, .section = section_of(heir)});
        end_with(victims.back(), any_signal());
    }
    world_->killed_ns = now_ns();  // until then the harness kept them
    ++world_->kills;
    for (const pid_t pid : pids_) ::kill(pid, SIGCONT);
    return victims;
}

void Nemesis::see_to_the_dead(std::vector<Victim>& victims) {
    for (Victim& victim : victims) bury(victim);
    see_to_the_living(victims);
}

void Nemesis::see_to_the_living(const std::vector<Victim>& victims) {
    await_answers(victims);
    check_rebuilds(victims);
    check_returns();
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
        victim.section = section_of(actor);
    }
    world_->killed_ns = now_ns();
    end_with(victim, signal);
    ++world_->kills;
    return victim;
}

void Nemesis::end_with(const Victim& victim, int signal) {
    estates_.open(pids_[victim.actor]);
    ::kill(pids_[victim.actor], signal);
    // A process that is stopped dies of SIGABRT when it goes on.
    if (victim.was_stopped && signal != SIGKILL) ::kill(pids_[victim.actor], SIGCONT);
    ++(signal == SIGABRT ? report_.aborts : report_.kills);
}

/// Another takes its place.
void Nemesis::bury(Victim& victim) {
    pid_t& pid = pids_[victim.actor];
    if (!soon([&] { return test::is_dead(pid); })) fail("R1", "a killed process does not die");
    ActorState& state = world_->actors[victim.actor];
    if (!victim.was_stopped) {
        victim.section = section_of(victim.actor);
        victim.may_break = !victim.section && state.doing == Doing::writing;
    }
    report_.inside += victim.section ? 1 : 0;
    report_.rebuilding += victim.section && victim.section->rebuilding ? 1 : 0;
    test::end(pid);
    state.pid = 0;
    pid = start_(victim.actor);
}

/// An actor at such a place. Never yields: sections take microseconds.
std::optional<std::uint32_t> Nemesis::actor_inside(Place place, std::chrono::microseconds patience) const {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(patience).count();
    while (now_ns() < until_ns)
        for (std::uint32_t actor = 0; actor < kActors; ++actor)
            if (is_inside(actor, place)) return actor;
    return std::nullopt;
}

/// The same, and it is stopped there.
std::optional<std::uint32_t> Nemesis::stop_inside(Place place, std::chrono::microseconds patience) const {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(patience).count();
    while (now_ns() < until_ns) {
        const auto actor = actor_inside(place, 1ms);
        if (!actor) continue;
        test::stop(pids_[*actor]);
        if (test::is_dead(pids_[*actor])) break;
        if (is_inside(*actor, place)) return actor;
        ::kill(pids_[*actor], SIGCONT);
    }
    return std::nullopt;
}

/// Lets it run for a few microseconds of a processor at a time, since a rebuild takes not many more. False: the shard
/// is rebuilt.
bool Nemesis::stop_rebuilding(std::uint32_t actor, std::uint32_t shard, std::chrono::microseconds patience) const {
    const std::int64_t until_ns = now_ns() + std::chrono::nanoseconds(patience).count();
    const std::uint64_t before = view_.shard(shard).rebuilds;
    while (now_ns() < until_ns && view_.shard(shard).rebuilds == before) {
        const std::int64_t enough_ns = run_time_ns(pids_[actor]) + kSliceNs;
        ::kill(pids_[actor], SIGCONT);
        for (const std::int64_t stop_ns = now_ns() + kScheduledNs;
             now_ns() < stop_ns && run_time_ns(pids_[actor]) < enough_ns && !is_inside(actor, Place::rebuild);) {}
        test::stop(pids_[actor]);
        if (test::is_dead(pids_[actor])) return false;
        if (is_inside(actor, Place::rebuild)) return true;
    }
    return false;
}

bool Nemesis::is_inside(std::uint32_t actor, Place place) const {
    const auto section = section_of(actor);
    if (!section || section->rebuilding != (place == Place::rebuild)) return false;
    return place != Place::half_edited || view_.shard(section->shard).mutating != 0;
}

std::optional<test::Section> Nemesis::section_of(std::uint32_t actor) const {
    return test::section_of(view_, pids_[actor]);
}

/// Everybody finishes what he was doing when somebody died, and then an operation on every shard.
void Nemesis::await_answers(const std::vector<Victim>& victims) {
    const std::uint64_t round = ++world_->round;
    const auto answered = [&](std::uint32_t actor) { return world_->actors[actor].answered >= round; };
    for (std::uint32_t actor = 0; actor < kActors; ++actor) {
        if (!soon([&] { return answered(actor) || test::is_dead(pids_[actor]); }))
            return fail("R1", "process " + std::to_string(pids_[actor]) + " finished nothing for 10 s after a kill");
        if (world_->wrong != Wrong::none) return fail(world_->broken(), world_->what_is_wrong());
        if (test::is_dead(pids_[actor])) return fail("R1", "a survivor died");
        const bool is_new = std::any_of(victims.begin(), victims.end(),
                                        [actor](const Victim& victim) { return victim.actor == actor; });
        if (is_new || victims.empty()) continue;
        report_.answers_ns.push_back(world_->actors[actor].next_ns);
        for (const auto& answer_ns : world_->actors[actor].answers_ns) report_.answers_ns.push_back(answer_ns);
    }
    if (world_->wrong != Wrong::none) fail(world_->broken(), world_->what_is_wrong());
}

/// A death costs the shard in whose writing section it was, and no other.
void Nemesis::check_rebuilds(const std::vector<Victim>& victims) {
    std::uint64_t unknown = 0;
    std::set<std::uint32_t> expected;
    for (const Victim& victim : victims) {
        unknown += victim.may_break ? 1 : 0;
        if (victim.section) expected.insert(victim.section->shard);
    }
    const std::array<std::uint64_t, kShards> now = rebuilds();
    std::uint64_t others = 0;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
        report_.rebuilds += now[shard] - rebuilds_before_[shard];
        others += now[shard] != rebuilds_before_[shard] && !expected.contains(shard) ? 1 : 0;
    }
    rebuilds_before_ = now;
    if (others > unknown)
        fail("R2", std::to_string(others) +
                       " shards were rebuilt in which nobody had died; deaths that may have been " +
                       "inside another one: " + std::to_string(unknown));
}

/// Slots, pins and leases of the dead.
void Nemesis::check_returns() {
    const std::string overdue = estates_.close(kNeverNs);
    if (!overdue.empty()) fail("R15", "not given back within 10 s: " + overdue);
}

/// While the living go on: those of the last dead, too.
void Nemesis::await_returns() {
    while (report_.failure.empty() && !estates_.all_closed()) {
        check_returns();
        shm::system::sleep_ns(kLookNs);
    }
}

/// While nobody has a pin, no dead value takes room.
void Nemesis::check_bytes() {
    world_->tend = true;
    if (!soon([&] { return !world_->tend; })) return fail("R1", "nobody tends");
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
        if (view_.shard(shard).retired_count != 0)
            return fail("R15", std::to_string(view_.shard(shard).retired_count) + " dead values stay in shard " +
                                   std::to_string(shard));
    for (const shm::ArenaFacts& arena : shm::read_arenas(view_))
        if (arena.kind == shm::ArenaKind::pinned)
            return fail("R15", "arena " + std::to_string(arena.arena) + " is kept for nobody");
}

/// Deaths that hit nothing prove nothing, nor do values that nobody looked at.
void Nemesis::check_aim(std::uint64_t kills) {
    if (report_.deaths() == 0 || report_.deaths() * 10 < kills) fail("aim", "fewer than a tenth of them died");
    if (report_.checked <= report_.deaths()) fail("aim", "fewer values were looked at than processes died");
    const auto deaths = static_cast<double>(report_.deaths());
    if (report_.deaths() < kAimedDeaths) return;
    if (static_cast<double>(report_.rebuilding) < kFewestRebuilding * deaths)
        fail("aim", "fewer than one in fifty died inside a rebuild");
    if (static_cast<double>(report_.inside) < kFewestInside * deaths)
        fail("aim", "fewer than three in ten died inside a writing section");
}

/// While nobody writes, the whole segment is looked through.
void Nemesis::check_structure() {
    world_->pause = true;
    for (std::uint32_t actor = 0; actor < kActors; ++actor)
        if (!soon([&] { return world_->actors[actor].paused.load(); })) return fail("R1", "no pause");
    check_bytes();
    if (const std::string violation = test::first_violation(view_); !violation.empty()) fail("R3", violation);
    world_->pause = false;
    for (std::uint32_t actor = 0; actor < kActors; ++actor)
        if (!soon([&] { return !world_->actors[actor].paused; })) return fail("R1", "no end of a pause");
}

void Nemesis::end() {
    world_->stop = true;
    for (pid_t& pid : pids_) {
        const std::string wrong = test::end_in_order(pid);
        if (world_->wrong != Wrong::none) fail(world_->broken(), world_->what_is_wrong());
        if (!wrong.empty()) fail("R1", wrong);
    }
    for (const ActorState& actor : world_->actors) {
        report_.operations += actor.operations;
        report_.checked += actor.checked;
    }
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
