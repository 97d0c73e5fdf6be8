#include "tests/fleet/sandbox.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/support/forked.hpp"

namespace larder::fleet {
namespace {

constexpr int kNoNamespaces = 76;

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 1; }

bool mount_own() {
    return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 &&
           ::mount("tmpfs", kFiles, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
}

/// The first process of the namespace: reaps whoever has lost its parent, and ends when `run` has.
int run_as_init(const std::function<int()>& run) {
    if (!mount_own()) return kNoNamespaces;
    const pid_t child = test::fork_to(run);
    int status = 0;
    for (pid_t dead = 0; (dead = ::waitpid(-1, &status, 0)) != child;)
        if (dead < 0 && errno != EINTR) return 1;
    return code_of(status);
}

}  // namespace

int run_in_sandbox(const std::function<int()>& run, std::string& why) {
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) != 0) {
        why = std::string("no namespaces: ") + std::strerror(errno);
        return -1;
    }
    const pid_t parent = ::getpid();
    const pid_t init = ::fork();  // in the new namespace its parent's number is 0
    if (init < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (init == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != 0 && ::getppid() != parent) ::_exit(1);
        ::_exit(run_as_init(run));
    }
    int status = 0;
    while (::waitpid(init, &status, 0) < 0 && errno == EINTR) {}
    const int code = code_of(status);
    if (code != kNoNamespaces) return code;
    why = "no mounts in a namespace";
    return -1;
}

}  // namespace larder::fleet
