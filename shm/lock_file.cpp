#include "shm/lock_file.hpp"

#include <errno.h>
#include <fcntl.h>

#include <cstring>

#include "shm/cache.hpp"
#include "shm/process.hpp"
#include "shm/testing.hpp"

namespace larder::shm {
namespace {

/// All lock files of this process. Only grows; under process::Lock.
std::atomic<LockFile*> first_lock_file{nullptr};

constexpr std::int64_t kRetryNs = 1'000'000;

[[noreturn]] void refuse(const std::string& path, const std::string& what,
                         const std::string& remedy = "remove it while no process uses the cache") {
    throw OpenError("registry", path + " " + what, remedy);
}

[[noreturn]] void refuse_unopened(const std::string& path, int error) {
    if (error == ELOOP) refuse(path, "is a symbolic link");
    if (error == EISDIR) refuse(path, "is not a regular file");
    const std::string reason = std::string("cannot be opened: ") + std::strerror(error);
    if (error == EROFS)
        refuse(path, reason,
               "mount its file system writable, or choose another directory with --directory or LARDER_DIR");
    refuse(path, reason, "check its mode and its directory's, and the limit of open files (`ulimit -n`)");
}

/// Open for reading and writing, made when absent.
system::Descriptor open_or_make(const std::string& path, bool& is_new) {
    for (int tries = 0;; ++tries) {
        system::Descriptor made = system::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        is_new = made.is_open();
        if (is_new) system::change_mode(made.number(), 0600);
        if (made.number() != -EEXIST) return made;
        system::Descriptor found = system::open_file(path, O_RDWR);
        if (found.number() != -ENOENT || tries == 8) return found;
    }
}

}  // namespace

LockFile* LockFile::find(system::FileId file) {
    for (LockFile* one = first_lock_file.load(std::memory_order_acquire); one != nullptr; one = one->next_)
        if (one->file_ == file) return one;
    return nullptr;
}

LockFile* LockFile::open(const std::string& path) {
    struct stat status {};
    // A second descriptor of a known file must never be closed again, so that none is opened.
    const int error = system::file_status(path, status, false);
    if (error != 0 && error != -ENOENT) refuse_unopened(path, -error);
    if (LockFile* known = error == 0 ? find(system::file_id(status)) : nullptr) return known;
    bool is_new = false;
    system::Descriptor file = open_or_make(path, is_new);
    if (!file.is_open()) refuse_unopened(path, -file.number());
    if (const int unknown = system::file_status(file.number(), status))
        refuse(path, std::string("cannot be looked at: ") + std::strerror(-unknown));
    if (LockFile* known = find(system::file_id(status))) {
        file.release();
        return known;
    }
    if (!S_ISREG(status.st_mode)) refuse(path, "is not a regular file");
    if (status.st_uid != system::user_id()) refuse(path, "belongs to uid " + std::to_string(status.st_uid));
    if ((status.st_mode & 0077) != 0) refuse(path, "may be locked by other users, its mode is not 0600");
    auto* made = new LockFile(path, file.release(), system::file_id(status), is_new);
    made->next_ = first_lock_file.load(std::memory_order_relaxed);
    first_lock_file.store(made, std::memory_order_release);  // the last step: a fork sees all of it or nothing
    return made;
}

void LockFile::forget_after_fork() const {
    const std::uint64_t now = process::generation();
    if (generation_ == now) return;
    held_.reset();
    generation_ = now;
}

/// Programs close descriptors that they know nothing of, and open other files under their numbers: a lock on one of
/// those would be a stranger's. Then the file is opened again; the bytes that were held went with the descriptor, see
/// restore(). -1: it cannot be, and every lock on it fails.
int LockFile::descriptor() const {
    int known = descriptor_.load(std::memory_order_acquire);
    struct stat status {};
    const int error = system::file_status(known, status);
    if (error == 0 && system::file_id(status) == file_) return known;
    if (error != 0 && error != -EBADF) return known;  // open, and cannot be asked now: it is what it was
    if (!is_current()) return -1;  // another file is not even opened: closing it would drop this process's locks on it
    system::Descriptor opened = system::open_file(path_, O_RDWR);
    const bool is_it =
        opened.is_open() && system::file_status(opened.number(), status) == 0 && system::file_id(status) == file_;
    if (!is_it) return -1;
    const int now = opened.release();
    if (!descriptor_.compare_exchange_strong(known, now, std::memory_order_acq_rel)) return known;
    reopened_.store(true, std::memory_order_release);
    return now;
}

void LockFile::restore() const {
    forget_after_fork();
    const int now = descriptor();
    if (!reopened_.exchange(false, std::memory_order_acq_rel)) return;
    for (std::uint32_t byte = 0; byte < held_.size(); ++byte)
        if (held_.test(byte) && system::lock_byte(now, byte) != 0) held_.reset(byte);
}

bool LockFile::take(std::uint32_t byte) {
    restore();
    if (holds(byte)) return true;
    if (system::lock_byte(descriptor(), byte) != 0) return false;
    held_.set(byte);
    LARDER_CRASH_POINT("lock_file.taken");
    return true;
}

void LockFile::drop(std::uint32_t byte) {
    if (!holds(byte)) return;
    held_.reset(byte);
    system::unlock_byte(descriptor(), byte);
    LARDER_CRASH_POINT("lock_file.dropped");
}

bool LockFile::holds(std::uint32_t byte) const {
    forget_after_fork();
    return held_.test(byte);
}

std::uint32_t LockFile::held_slot() const {
    forget_after_fork();
    for (std::uint32_t byte = 0; byte < kProcesses; ++byte)
        if (held_.test(byte)) return byte;
    return kProcesses;
}

bool LockFile::held_by_other(std::uint32_t byte) const { return system::locked_by_other(descriptor(), byte, 1) != 0; }

bool LockFile::any_slot_held_by_other() const { return system::locked_by_other(descriptor(), 0, kProcesses) != 0; }

bool LockFile::is_current() const {
    struct stat status {};
    return system::file_status(path_, status, false) == 0 && system::file_id(status) == file_;
}

bool LockFile::take_administration(std::chrono::milliseconds budget) {
    const std::int64_t deadline_ns = system::monotonic_ns() + budget.count() * 1'000'000;
    while (!take(kAdministration)) {
        if (system::monotonic_ns() >= deadline_ns) return false;
        system::sleep_ns(kRetryNs);
    }
    return true;
}

}  // namespace larder::shm
