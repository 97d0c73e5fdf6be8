// A forked child that runs a function, talks to its parent in single bytes and dies with the test.
//
//     auto child = ChildProcess::start([&](Channel& parent) {
//         lock(mutex);
//         parent.tell('l');           // locked
//         parent.hear();              // ends here when the parent is gone
//         return 0;                   // the exit code
//     });
//     REQUIRE(child.hear() == 'l');
//     child.kill(SIGKILL);
//     REQUIRE(child.wait().was_killed_by(SIGKILL));
//
// In the child use no Catch macros: return another number than 0 (what it throws is 70).
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <utility>

namespace larder::test {

inline constexpr std::chrono::seconds kWatchdog{20};

/// One end of a two-way pipe.
class Channel {
public:
    explicit Channel(int descriptor) : descriptor_(descriptor) {}
    Channel(Channel&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Channel(const Channel&) = delete;
    ~Channel() { close(); }

    bool tell(char byte) { return ::send(descriptor_, &byte, 1, MSG_NOSIGNAL) == 1; }
    bool tell_bytes(const void* data, std::size_t size) {
        return ::send(descriptor_, data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
    }
    /// The next byte; 0 when the other end is gone or nothing came in time.
    char hear(std::chrono::milliseconds patience = kWatchdog) {
        char byte = 0;
        return hear_bytes(&byte, 1, patience) ? byte : '\0';
    }
    bool hear_bytes(void* data, std::size_t size, std::chrono::milliseconds patience = kWatchdog) {
        std::size_t got = 0;
        while (got < size) {
            pollfd ready{descriptor_, POLLIN, 0};
            if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return false;
            const ssize_t n = ::recv(descriptor_, static_cast<char*>(data) + got, size - got, 0);
            if (n <= 0) return false;
            got += static_cast<std::size_t>(n);
        }
        return true;
    }
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }

private:
    int descriptor_;
};

/// How a child ended.
struct Ending {
    int status = -1;
    bool in_time = false;
    bool exited_with(int code) const { return in_time && WIFEXITED(status) && WEXITSTATUS(status) == code; }
    bool was_killed_by(int signal) const { return in_time && WIFSIGNALED(status) && WTERMSIG(status) == signal; }
};

class ChildProcess {
public:
    /// `function`: int(Channel& parent). The child ends without destructors or exit handlers of the parent's objects.
    template <class Function>
    static ChildProcess start(Function&& function) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
        ::fflush(nullptr);
        const pid_t parent = ::getpid();
        const pid_t pid = ::fork();
        if (pid < 0) throw std::runtime_error("fork");
        if (pid == 0) {
            ::close(ends[0]);
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const pid_t now = ::getppid();
            if (now != parent && now != 0) ::_exit(71);  // 0: a parent outside this PID namespace
            ::_exit(run(function, ends[1]));
        }
        ::close(ends[1]);
        return ChildProcess(pid, ends[0]);
    }

    ChildProcess(ChildProcess&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), channel_(std::move(other.channel_)), ending_(other.ending_) {}
    ChildProcess(const ChildProcess&) = delete;
    ~ChildProcess() {
        if (pid_ < 0 || ending_.in_time) return;
        ::kill(pid_, SIGKILL);
        int ignored = 0;
        ::waitpid(pid_, &ignored, 0);
    }

    pid_t pid() const { return pid_; }
    Channel& channel() { return channel_; }
    bool tell(char byte) { return channel_.tell(byte); }
    char hear(std::chrono::milliseconds patience = kWatchdog) { return channel_.hear(patience); }
    void kill(int signal) { ::kill(pid_, signal); }

    /// Waits until the child has ended, and reaps it; one that lives on past the watchdog is killed and not `in_time`.
    Ending wait(std::chrono::milliseconds patience = kWatchdog) {
        if (ending_.in_time || pid_ < 0) return ending_;
        const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        pollfd ended{handle, POLLIN, 0};
        ending_.in_time = ::poll(&ended, 1, static_cast<int>(patience.count())) == 1;
        ::close(handle);
        if (!ending_.in_time) kill(SIGKILL);
        ::waitpid(pid_, &ending_.status, 0);
        if (!ending_.in_time) pid_ = -1;
        return ending_;
    }

    /// Waits until the child is dead but leaves it a zombie.
    bool wait_for_zombie() {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == 0;
    }
    /// Waits until a SIGSTOP has stopped the child.
    bool wait_for_stop() {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOWAIT) == 0;
    }

private:
    ChildProcess(pid_t pid, int descriptor) : pid_(pid), channel_(descriptor) {}

    template <class Function>
    static int run(Function& function, int descriptor) {
        Channel parent(descriptor);
        try {
            return function(parent);
        } catch (const std::exception& error) {
            ::fprintf(stderr, "child %d: %s\n", static_cast<int>(::getpid()), error.what());
        } catch (...) {
            ::fprintf(stderr, "child %d: an exception\n", static_cast<int>(::getpid()));
        }
        return 70;
    }

    pid_t pid_;
    Channel channel_;
    Ending ending_;
};

}  // namespace larder::test
