#include "shm/socket/listener_role.hpp"

#include <fcntl.h>

#include <cerrno>
#include <map>
#include <system_error>

#include "shm/process.hpp"
#include "shm/socket/fork_guard.hpp"
#include "shm/system.hpp"

namespace larder::shm {
namespace {

constexpr std::uint32_t kRoleByte = 0;

struct RoleFile {
    int descriptor = -1;  // below 0: -errno
    system::FileId identity;
    std::uint64_t claimed_in = 0;  // process generation; another one than ours: claimed by nobody here
    const ListenerRole* claimed_by = nullptr;
};

// One for each path that this process ever listened on or asked about. REQUIRES: hold_off_forks() is held.
std::map<std::string, RoleFile>& role_files() {
    static auto& files = *new std::map<std::string, RoleFile>;
    return files;
}

bool is_current(const std::string& path, const RoleFile& file) {
    struct stat now {};
    return file.descriptor >= 0 && system::file_status(path, now) == 0 && system::file_id(now) == file.identity;
}

// The same file may be known by two paths.
bool claimed_here(const RoleFile& file) {
    for (const auto& [path, other] : role_files())
        if (other.claimed_in == process::generation() && other.identity == file.identity) return true;
    return false;
}

/// -errno: others may lock what is there, or it is no file. Only looked at: closing a descriptor drops locks.
int unfit(const std::string& path) {
    struct stat status {};
    if (system::file_status(path, status, false) != 0) return 0;
    if (S_ISLNK(status.st_mode)) return -ELOOP;
    if (!S_ISREG(status.st_mode)) return -EISDIR;
    return status.st_uid == system::user_id() && (status.st_mode & 0077) == 0 ? 0 : -EPERM;
}

// The process's descriptor of the file that the path names today. A replaced file's descriptor may be closed: the lock
// on it means nothing any more, and no lock on the new file is touched.
RoleFile& open_once(const std::string& path, int extra_flags) {
    RoleFile& file = role_files()[path];
    if (is_current(path, file)) return file;
    system::Descriptor outdated(file.descriptor);
    file = RoleFile{};
    if (const int error = unfit(path)) {
        file.descriptor = error;
        return file;
    }
    system::Descriptor opened = system::open_file(path, O_RDWR | extra_flags, 0600);
    struct stat status {};
    const int error = opened.is_open() ? system::file_status(opened.number(), status) : opened.number();
    file.descriptor = error < 0 ? error : opened.release();
    file.identity = system::file_id(status);
    return file;
}

std::string why(int negative_error) { return std::generic_category().message(-negative_error); }

/// Why the role's file could not be opened, and what to do about it.
std::string problem_of(const std::string& path, int negative_error) {
    if (negative_error == -ELOOP) return path + " is a symbolic link; remove it while nobody listens";
    if (negative_error == -EISDIR) return path + " is not a regular file; remove it";
    if (negative_error == -EPERM)
        return path + " may be locked by other users (its owner is another one, or its mode not 0600); remove it";
    if (negative_error == -EROFS)
        return path + " is on a read-only file system; mount it writable, or name another directory with LARDER_DIR";
    return "cannot open " + path + ": " + why(negative_error) +
           "; make its directory, owned by you and with mode 0700, or name another one with LARDER_DIR";
}

}  // namespace

bool somebody_listens(const std::string& lock_path) {
    const auto guard = hold_off_forks();
    const RoleFile& file = open_once(lock_path, 0);
    if (file.descriptor < 0) return false;
    return claimed_here(file) || system::locked_by_other(file.descriptor, kRoleByte, 1) == 1;
}

bool ListenerRole::try_take() {
    const auto guard = hold_off_forks();
    problem_.clear();
    RoleFile& file = open_once(path_, O_CREAT);
    if (file.descriptor < 0) {
        problem_ = problem_of(path_, file.descriptor);
        return false;
    }
    if (claimed_here(file)) return false;
    if (const int error = system::lock_byte(file.descriptor, kRoleByte); error < 0) {
        if (error != -EAGAIN)
            problem_ = "cannot lock " + path_ + ": " + why(error) + "; the directory must be on a local file system";
        return false;
    }
    if (!is_current(path_, file)) {  // replaced since it was opened: this lock keeps nobody out
        system::unlock_byte(file.descriptor, kRoleByte);
        return false;
    }
    file.claimed_in = generation_ = process::generation();
    file.claimed_by = this;
    return true;
}

bool ListenerRole::still_held() const {
    const auto guard = hold_off_forks();
    const auto found = role_files().find(path_);
    return found != role_files().end() && is_claim(found->second.claimed_in, found->second.claimed_by) &&
           is_current(path_, found->second);
}

void ListenerRole::release() {
    const auto guard = hold_off_forks();
    const auto found = role_files().find(path_);
    const bool ours = found != role_files().end() && is_claim(found->second.claimed_in, found->second.claimed_by);
    generation_ = 0;
    if (!ours) return;
    system::unlock_byte(found->second.descriptor, kRoleByte);
    found->second.claimed_in = 0;
}

// Where the lock file was replaced, another object of this process may have the role on the new one.
bool ListenerRole::is_claim(std::uint64_t claimed_in, const ListenerRole* claimed_by) const {
    return generation_ == process::generation() && claimed_in == generation_ && claimed_by == this;
}

}  // namespace larder::shm
