#include "tests/history/nemesis.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "shm/system.hpp"
#include "tests/support/forked.hpp"

namespace larder::history {
namespace {

constexpr std::int64_t kHangNs = 10'000'000'000;  // R1: what counts as blocked
constexpr std::int64_t kMsNs = 1'000'000;

std::int64_t now_ns() { return shm::system::monotonic_ns(); }

}  // namespace

Nemesis::Nemesis(World& world, SegmentTrail& trail, std::function<pid_t(std::uint32_t)> start,
                 std::function<bool(Removal)> remove, std::uint64_t seed)
    : world_(world), trail_(trail), start_(std::move(start)), remove_(std::move(remove)), random_(seed) {
    for (std::uint32_t actor = 0; actor < kActors; ++actor) pids_[actor] = start_(actor);
}

Nemesis::~Nemesis() {
    for (pid_t& pid : pids_) test::end(pid);
}

std::string Nemesis::play(const Plan& plan) {
    replaced_ = false;
    std::uint64_t done = operations();
    for (std::int64_t moved_ns = now_ns(); failure_.empty() && !all_rest();) {
        shm::system::sleep_ns(static_cast<std::int64_t>(random_() % 3'000 + 200) * 1'000);
        if (world_->steps_left > 0) strike(plan);
        if (stopped_ && (now_ns() >= stopped_->until_ns || world_->steps_left <= 0)) let_go();
        if (std::any_of(pids_.begin(), pids_.end(), test::is_dead)) failure_ = "a process ended by itself";
        if (std::exchange(done, operations()) != done) moved_ns = now_ns();
        if (now_ns() - moved_ns > kHangNs) failure_ = "nobody finished anything for 10 s";
    }
    let_go();
    return failure_;
}

std::string Nemesis::end() {
    world_->stop = true;
    std::string failure;
    for (pid_t& pid : pids_)
        if (std::string wrong = test::end_in_order(pid); failure.empty()) failure = wrong;
    return failure;
}

void Nemesis::strike(const Plan& plan) {
    const std::uint64_t what = random_() % 100;
    if (what < 20) return stop_some();
    if (what < 35) {
        ++deeds_.floods;
        world_->order = Order::flood;
    } else if (what < 40) {
        ++deeds_.invalidations;
        world_->order = Order::invalidate_everything;
    } else if (what < 55 && plan.kills) {
        kill_one();
    } else if (what < 65 && plan.replaces && !replaced_) {
        replace();
    }
}

/// For 1 to 30 ms, one in ten times ten times as long.
void Nemesis::stop_some() {
    if (stopped_) return;
    ++deeds_.stops;
    const std::uint32_t actor = any_actor();
    const std::uint64_t ms = (1 + random_() % 30) * (random_() % 10 == 0 ? 10 : 1);
    test::stop(pids_[actor]);
    stopped_ = Stopped{actor, now_ns() + static_cast<std::int64_t>(ms) * kMsNs};
}

void Nemesis::let_go() {
    if (stopped_) ::kill(pids_[stopped_->actor], SIGCONT);
    stopped_.reset();
}

/// Nobody is stopped at it: removing waits for who is just making a segment.
void Nemesis::replace() {
    let_go();
    replaced_ = true;
    trail_.look();
    const Removal how = random_() % 2 == 0 ? Removal::orderly : Removal::unlink;
    ++(how == Removal::orderly ? deeds_.removals : deeds_.unlinks);
    if (!remove_(how)) failure_ = "the segment could not be removed";
}

/// Another takes its place, and continues its log.
void Nemesis::kill_one() {
    ++deeds_.kills;
    const std::uint32_t actor = any_actor();
    if (stopped_ && stopped_->actor == actor) stopped_.reset();
    test::end(pids_[actor]);
    pids_[actor] = start_(actor);
}

bool Nemesis::all_rest() const {
    const std::uint32_t round = world_->round;
    return std::all_of(world_->logs.begin(), world_->logs.end(),
                       [round](const ActorLog& log) { return log.resting.load(std::memory_order_acquire) == round; });
}

std::uint64_t Nemesis::operations() const {
    std::uint64_t all = 0;
    for (const ActorLog& log : world_->logs) all += log.used.load(std::memory_order_relaxed);
    return all;
}

}  // namespace larder::history
