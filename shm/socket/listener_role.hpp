// The listener's role: one process at a time has it, and the kernel takes it back when that process dies.
//
// It is a lock (F_SETLK) on a file of its own, NAME.listen. Such locks belong to the process: any descriptor of that
// file that the process closes would drop the lock, and a second lock of the same process succeeds. So each such file
// is opened once a process and kept open, and one object at a time has the process's claim to it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace larder::shm {

/// A process has the role, perhaps this one. Any thread; makes no file. Nobody else may open the lock file: closing it
/// would take the role from this process.
bool somebody_listens(const std::string& lock_path);

/// Used by one thread at a time. A forked child does not have its parent's role, and may compete for it.
class ListenerRole {
public:
    explicit ListenerRole(std::string lock_path) : path_(std::move(lock_path)) {}
    ListenerRole(const ListenerRole&) = delete;
    ListenerRole& operator=(const ListenerRole&) = delete;
    ~ListenerRole() { release(); }

    /// Never waits. REQUIRES: not held. True: the role is ours until release(), the end of this process, or the lock
    /// file's replacement. False: another has it, or problem() says in one sentence what is wrong.
    bool try_take();
    /// The lock is on the file which the path names today. False: another process may have the role by now; release it.
    bool still_held() const;
    void release();
    const std::string& problem() const { return problem_; }

private:
    bool is_claim(std::uint64_t claimed_in, const ListenerRole* claimed_by) const;

    std::string path_;
    std::string problem_;
    std::uint64_t generation_ = 0;  // of the process that holds it; 0: not held
};

}  // namespace larder::shm
