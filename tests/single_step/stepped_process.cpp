#include "tests/single_step/stepped_process.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/support/forked.hpp"

namespace larder::single_step {

SteppedProcess::OneCore::OneCore() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

SteppedProcess::OneCore::~OneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }

SteppedProcess::SteppedProcess(const std::function<void()>& before, const std::function<void()>& stepped) {
    pid_ = test::fork_to([&] {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 1;
        before();
        ::raise(SIGSTOP);
        stepped();
        done_->store(true);
        return 0;
    });
    if (await_stop() != SIGSTOP && problem_.empty()) problem_ = "it cannot be traced";
}

bool SteppedProcess::step() {
    if (is_done() || !problem_.empty()) return false;
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) {
        problem_ = std::string("it cannot be stepped: ") + std::strerror(errno);
        return false;
    }
    if (const int signal = await_stop(); signal != SIGTRAP && problem_.empty())
        problem_ = std::string("a signal came in between: ") + ::strsignal(signal);
    return problem_.empty() && !is_done();
}

std::uint64_t SteppedProcess::step(std::uint64_t instructions) {
    std::uint64_t steps = 0;
    while (steps < instructions && step()) ++steps;
    return steps;
}

void SteppedProcess::kill() { test::end(pid_); }

bool SteppedProcess::is_permitted() {
    SteppedProcess one([] {}, [] {});
    return one.step();
}

int SteppedProcess::await_stop() {
    int status = 0;
    if (::waitpid(pid_, &status, 0) == pid_ && WIFSTOPPED(status)) return WSTOPSIG(status);
    problem_ = "it ended by itself";
    pid_ = -1;
    return 0;
}

}  // namespace larder::single_step
