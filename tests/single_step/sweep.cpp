#include "tests/single_step/sweep.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "shm/inspector.hpp"
#include "tests/support/section.hpp"

namespace larder::single_step {

Sweep::Sweep(std::uint32_t operation)
    : number_(operation),
      survivor_(world_, *answers_.operator->()),
      segment_(shm::Segment::attach_read_only(world_.segment_path(world_.options))) {
    // Who makes this file looks through all processes of the host, which is no part of what is stepped.
    std::ofstream(world_.lock_path(world_.another));
    ::chmod(world_.lock_path(world_.another).c_str(), 0600);
}

SweepReport Sweep::run(std::uint64_t offset, std::uint64_t stride, std::uint64_t points) {
    measure();
    measure();  // what the first one retired is given back by now: as all that follow find it
    const std::uint64_t all = std::max(report_.instructions, offset + 1) - offset;
    report_.stride = stride != 0 ? stride : std::max<std::uint64_t>((all + points - 1) / points, 1);
    const std::uint64_t first = stride != 0 ? offset : offset + report_.stride / 2;  // the middle of each stretch
    for (std::uint64_t k = first; report_.failure.empty() && kill_after(k); k += report_.stride) {}
    return std::move(report_);
}

/// A victim that has the cache open has used it, too: what only the first use does is no part of the operation.
SteppedProcess Sweep::start_victim() const {
    std::optional<Side> side;
    const Operation& what = operation();
    const bool opens = what.kind == Kind::attach || what.kind == Kind::create;
    return {[&] {
                if (opens) return;
                side.emplace(Cache::open(world_.options), segment_.view());
                side->cache.get(side->resident(0, 0));
                side->cache.touch(side->resident(1, 0), std::chrono::seconds(300));
            },
            [&] {
                if (opens)
                    Cache::open(what.kind == Kind::create ? world_.another : world_.options);
                else
                    what.run(*side);
            }};
}

/// The first shard that is; Death::kNoShard: all are whole.
std::uint32_t Sweep::half_edited() const {
    for (std::uint32_t shard = 0; shard < kShards; ++shard)
        if (shm::read_shard(segment_.view(), shard).mutating) return shard;
    return Death::kNoShard;
}

/// Another victim dies in the middle of its put.
void Sweep::break_shard() {
    SteppedProcess breaker = start_victim();
    for (std::uint64_t n = 0; n < SteppedProcess::kMostSteps && half_edited() != 0 && breaker.step(); ++n) {}
    if (half_edited() != 0) fail("nobody was found inside a section");
}

void Sweep::measure() {
    if (const std::string wrong = survivor_.prepare(number_); !wrong.empty()) return void(fail(wrong));
    if (operation().kind == Kind::rebuild) break_shard();
    SteppedProcess victim = start_victim();
    report_.instructions = victim.step(SteppedProcess::kMostSteps);
    if (!victim.is_done()) fail("the operation does not end: " + victim.problem());
    victim.kill();
    const Death death{number_, operation().kind == Kind::rebuild ? 0 : Death::kNoShard};
    if (const std::string wrong = survivor_.look_after(death); !wrong.empty()) fail(wrong);
    remove_another();
}

/// False: the operation was done before.
bool Sweep::kill_after(std::uint64_t instructions) {
    report_.failed_at = instructions;
    if (const std::string wrong = survivor_.prepare(number_); !wrong.empty()) return fail(wrong), false;
    if (operation().kind == Kind::rebuild) break_shard();
    SteppedProcess victim = start_victim();
    victim.step(instructions);
    if (!victim.problem().empty()) return fail(victim.problem()), false;
    const bool was_done = victim.is_done();
    const std::optional<test::Section> inside = test::section_of(segment_.view(), victim.pid());
    victim.kill();
    const std::uint32_t broken = half_edited();
    // Whoever rebuilds found the shard half edited.
    const Death death{number_, operation().kind == Kind::rebuild ? 0 : broken};
    if (operation().kind == Kind::use && broken != Death::kNoShard && (!inside || inside->shard != broken))
        return fail("R2 a victim outside of a shard's section left it half edited"), false;
    if (const std::string wrong = survivor_.look_after(death); !wrong.empty()) return fail(wrong), false;
    remove_another();
    ++report_.kills;
    report_.inside += inside ? 1 : 0;
    report_.broken += broken != Death::kNoShard ? 1 : 0;
    for (const auto& ns : answers_->ns) report_.answers_ns.push_back(ns);
    return !was_done;
}

/// What a victim made, and the survivor used.
void Sweep::remove_another() const {
    if (operation().kind == Kind::create) std::filesystem::remove(world_.segment_path(world_.another));
}

std::string Sweep::fail(const std::string& what) {
    if (report_.failure.empty()) report_.failure = what;
    return report_.failure;
}

}  // namespace larder::single_step
