#include "tools/doctor_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

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

void examine_modes(const shm::Location& location, Findings& findings) {
    for (const std::string& path : {location.segment_path(), location.lock_path(), location.listen_path()}) {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 0077) == 0) continue;
        findings.push_back({"file_mode", Severity::error,
                            fmt::format("{} is open to other users (mode {:04o}).", path, status.st_mode & 07777),
                            fmt::format("Run `chmod 600 {}`; see who changed it.", path)});
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
            {"not_tmpfs", Severity::warning,
             fmt::format("{} is not on tmpfs: the kernel writes the cache's pages to a disk.", location.directory),
             "Use the default directory, or mount a tmpfs there."});
    if (location.directory.rfind("/dev/shm", 0) == 0 && ::getuid() >= kFirstUserId && logind_removes())
        findings.push_back(
            {"remove_ipc", Severity::warning,
             fmt::format("systemd-logind deletes the files of uid {} in /dev/shm when its last session ends.",
                         ::getuid()),
             "Set RemoveIPC=no in logind.conf, run as a system user, or use /run/larder (LARDER_DIR)."});
    struct statvfs space {};
    if (::statvfs(location.directory.c_str(), &space) != 0 || space.f_blocks == 0) return;
    if (space.f_bavail < space.f_blocks / 20)
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
    examine_file_system(location, findings);
    examine_socket(location, findings);
    return findings;
}

}  // namespace larder::tools
