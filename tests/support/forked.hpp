// Forked processes that are killed, stopped and told to end, by those who look at them only.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "tests/support/eventually.hpp"

namespace larder::test {

/// The child ends with what function() returns, 1 when it throws; and with its parent, at the latest. Throws
/// std::system_error: there is none.
template <class Function>
pid_t fork_to(Function&& function) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    int code = 1;
    try {
        code = function();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "process %d: %s\n", static_cast<int>(::getpid()), error.what());
    }
    ::_exit(code);
}

/// Dead, and not reaped.
inline bool is_dead(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/// Returns once it is stopped, or has ended. It may be stopped already.
inline void stop(pid_t pid) {
    ::kill(pid, SIGSTOP);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WEXITED | WNOWAIT);
}

/// Kills and reaps it; 0 and below: there is none.
inline void end(pid_t& pid) {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
}

/// Waits for the end of one that was told to end, and reaps it; kills it when it does not. What was wrong with its end,
/// in words; "": it exited with 0.
inline std::string end_in_order(pid_t& pid) {
    const std::string process = "process " + std::to_string(pid);
    if (!eventually([pid] { return is_dead(pid); }, kHang)) return end(pid), process + " does not end";
    int status = 0;
    ::waitpid(std::exchange(pid, 0), &status, 0);
    if (WIFSIGNALED(status)) return process + " ended by signal " + std::to_string(WTERMSIG(status));
    return status == 0 ? "" : process + " ended with exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace larder::test
