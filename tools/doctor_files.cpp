#include "tools/doctor_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "shm/inspector.hpp"
#include "shm/socket/listener_role.hpp"
#include "shm/socket/notifier.hpp"
#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

using shm::Finding;
using shm::Severity;
using Findings = std::vector<Finding>;

constexpr std::size_t kSocketPathBytes = 107;
constexpr unsigned kFirstUserId = 1'000;  // below: system users, whose files logind leaves alone

/// Of files alone: what a link leads to is not the cache's, and a directory of mode 0600 is of no use to anybody.
void examine_modes(const shm::Location& location, Findings& findings) {
    for (const std::string& path : {location.segment_path(), location.lock_path(), location.listen_path()}) {
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0077) == 0) continue;
        findings.push_back({"file_mode", Severity::error,
                            fmt::format("{} is open to other users (mode {:04o}).", path, status.st_mode & 07777),
                            fmt::format("Run `chmod 600 {}`; see who changed it.", path)});
    }
}

/// Programs lock these files to say that they live, and that they listen: theirs and of mode 0600, or not at all.
void examine_lock_files(const shm::Location& location, Findings& findings) {
    const std::pair<std::string, const char*> files[] = {{location.lock_path(), "the cache cannot be opened"},
                                                         {location.listen_path(), "nobody can listen"}};
    for (const auto& [path, outcome] : files) {
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) continue;
        std::string fault,
            remedy = fmt::format("Run `chown {0} {1} && chmod 600 {1}`, or remove it", ::geteuid(), path);
        if (!S_ISREG(status.st_mode)) {
            fault = S_ISLNK(status.st_mode) ? "is a symbolic link" : "is not a regular file";
            remedy = "Remove it";  // another mode or owner would be that of what the link leads to
        } else if (status.st_uid != ::geteuid())
            fault = fmt::format("belongs to uid {}, not to uid {}", status.st_uid, ::geteuid());
        else if ((status.st_mode & 0600) != 0600)
            fault = fmt::format("has mode {:04o}, not 0600", status.st_mode & 07777);
        if (!fault.empty())
            findings.push_back({"lock_unusable", Severity::error,
                                fmt::format("{} {}: it cannot be locked, so that {}.", path, fault, outcome),
                                remedy + " while no process uses the cache."});
    }
}

/// logind removes what ordinary users have in /dev/shm when their last session ends, unless it is told not to.
bool logind_removes() {
    std::error_code error;
    if (!std::filesystem::exists("/run/systemd/seats", error)) return false;
    std::ifstream config("/etc/systemd/logind.conf");
    for (std::string line; std::getline(config, line);)
        if (line.rfind("RemoveIPC=", 0) == 0) return line != "RemoveIPC=no" && line != "RemoveIPC=0";
    return true;
}

void examine_file_system(const shm::Location& location, Findings& findings) {
    if (!location.on_tmpfs)
        findings.push_back(
            {"not_tmpfs", Severity::info,
             fmt::format("{} is not on tmpfs: the kernel writes the cache's pages to a disk.", location.directory),
             "Use the default directory, or mount a tmpfs there."});
    if (location.directory.rfind("/dev/shm", 0) == 0 && ::getuid() >= kFirstUserId && logind_removes())
        findings.push_back(
            {"remove_ipc", Severity::warning,
             fmt::format("systemd-logind deletes the files of uid {} in /dev/shm when its last session ends.",
                         ::getuid()),
             "Set RemoveIPC=no in logind.conf, run as a system user, or use /run/larder (LARDER_DIR)."});
    struct statvfs space {};
    if (::statvfs(location.directory.c_str(), &space) != 0) return;
    if ((space.f_flag & ST_RDONLY) != 0)
        findings.push_back(
            {"read_only", Severity::error,
             fmt::format("The file system of {} is read-only: no cache can be opened there.", location.directory),
             "Mount it writable, or choose another directory with --directory or LARDER_DIR."});
    if (space.f_blocks != 0 && space.f_bavail < space.f_blocks / 20)
        findings.push_back(
            {"nearly_full", Severity::warning,
             fmt::format("The file system of {} has {} left of {}.", location.directory,
                         size_text(space.f_bavail * space.f_frsize), size_text(space.f_blocks * space.f_frsize)),
             "Existing caches have their memory; make room, or a larger tmpfs, before another is made."});
}

void examine_socket(const shm::Location& location, Findings& findings) {
    const std::string path = location.socket_path();
    if (path.size() > kSocketPathBytes)
        findings.push_back({"socket_path_long", Severity::warning,
                            fmt::format("The socket's path has {} bytes; tools such as nc reach at most {}.",
                                        path.size(), kSocketPathBytes),
                            "Use a shorter directory."});
    std::error_code error;
    const bool there = std::filesystem::exists(path, error);
    if (!shm::somebody_listens(location.listen_path())) {
        findings.push_back(
            {"no_listener", Severity::info,
             there ? "Nobody listens on the socket; its file was left behind." : "Nobody listens on the socket.",
             "`larder invalidate` goes to the segment directly; run `larder listen` where others use the socket."});
        return;
    }
    if (const NoticeResult answer = Notifier(path).ping(); !answer)
        findings.push_back({"listener_silent", Severity::error,
                            fmt::format("The listener does not answer: {}.", answer.error),
                            "See whether its process is stopped; another takes over when it ends."});
}

}  // namespace

Findings examine_files(const shm::Location& location) {
    Findings findings;
    examine_modes(location, findings);
    examine_lock_files(location, findings);
    examine_file_system(location, findings);
    examine_socket(location, findings);
    return findings;
}

void examine_lock(const shm::Location& location, const shm::SegmentView& view, Findings& findings) {
    struct stat status {};
    if (::lstat(location.lock_path().c_str(), &status) == 0) return;
    const auto processes = shm::read_processes(view);
    const auto alive = std::count_if(processes.begin(), processes.end(), [](const auto& one) { return one.alive; });
    if (alive == 0) return;
    findings.push_back({"lock_missing", Severity::error,
                        fmt::format("{} is gone while processes are attached ({}): who attaches now does not see that "
                                    "they live.",
                                    location.lock_path(), alive),
                        "Restart the processes that `larder stat` shows; never remove that file while one runs."});
}

}  // namespace larder::tools
