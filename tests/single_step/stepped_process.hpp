// A child that does something instruction by instruction, as its parent says (PTRACE_SINGLESTEP). Works where the
// kernel can step: x86-64 and aarch64 do. (On an aarch64 without LSE atomics a step loses the exclusive monitor, so
// that a stepped loop over it never ends: kMostSteps.)
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/support/shared_object.hpp"

namespace larder::single_step {

class SteppedProcess {
public:
    static constexpr std::uint64_t kMostSteps = 50'000'000;

    /// Forks a child that has done `before` when this returns, at its own speed, and does `stepped` after it.
    SteppedProcess(const std::function<void()>& before, const std::function<void()>& stepped);
    SteppedProcess(const SteppedProcess&) = delete;
    SteppedProcess& operator=(const SteppedProcess&) = delete;
    /// Kills it.
    ~SteppedProcess() { kill(); }

    /// One instruction. False: `stepped` is done, or problem() says what came in between.
    bool step();
    /// Up to so many; how many were done.
    std::uint64_t step(std::uint64_t instructions);
    /// At this instruction; it is reaped.
    void kill();

    pid_t pid() const { return pid_; }
    bool is_done() const { return done_->load(std::memory_order_relaxed); }
    const std::string& problem() const { return problem_; }

    /// This process may step others here.
    static bool is_permitted();

private:
    /// Pins this thread, and with it the child that it forks. On one core the two hand it to each other; on two, each
    /// step wakes the other core.
    class OneCore {
    public:
        OneCore();
        OneCore(const OneCore&) = delete;
        OneCore& operator=(const OneCore&) = delete;
        ~OneCore();

    private:
        cpu_set_t before_{};
    };

    /// The signal that it stopped for; 0: it has ended.
    int await_stop();

    const OneCore one_core_;
    test::SharedObject<std::atomic<bool>> done_;
    pid_t pid_ = -1;
    std::string problem_;
};

}  // namespace larder::single_step
