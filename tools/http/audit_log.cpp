#include "tools/http/audit_log.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/json_writer.hpp"
#include "core/timestamp.hpp"

namespace larder::tools {
namespace {

std::string line_of(std::string_view who, std::string_view what, std::uint64_t notice) {
    JsonWriter json;
    json.begin_object();
    json.field("at", std::string_view(
                         to_iso8601(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()))));
    json.field("who", who).field("what", what).field("notice", static_cast<std::int64_t>(notice));
    json.end_object();
    return json.take() + "\n";
}

shm::system::Descriptor open_file(const std::string& path) {
    // A pipe would hold up whoever writes to it.
    shm::system::Descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640));
    struct stat status {};
    if (file.is_open() && shm::system::file_status(file.number(), status) == 0 && S_ISFIFO(status.st_mode)) {
        errno = EINVAL;
        return shm::system::Descriptor();
    }
    return file;
}

[[noreturn]] void refuse(const std::string& path) {
    throw std::runtime_error("the audit log " + path + " cannot be written (" + std::generic_category().message(errno) +
                             "): name another file");
}

}  // namespace

AuditLog::AuditLog(const std::string& path) { write_to(path); }

void AuditLog::write_to(const std::string& path) {
    shm::system::Descriptor file = path.empty() ? shm::system::Descriptor() : open_file(path);
    if (!path.empty() && !file.is_open()) refuse(path);
    const std::lock_guard lock(mutex_);
    path_ = path;
    file_ = std::move(file);
}

void AuditLog::check(const std::string& path) {
    std::error_code error;
    const auto kind = std::filesystem::status(path, error).type();
    errno = kind == std::filesystem::file_type::directory ? EISDIR : EINVAL;
    if (kind == std::filesystem::file_type::directory || kind == std::filesystem::file_type::fifo) refuse(path);
    if (path.empty() || ::access(path.c_str(), W_OK) == 0) return;
    const std::string directory = std::filesystem::absolute(path).parent_path();
    if (errno != ENOENT || ::access(directory.c_str(), W_OK | X_OK) != 0) refuse(path);
}

void AuditLog::note(std::string_view who, std::string_view what, std::uint64_t notice) {
    spdlog::info("Audit: {} invalidated {}: notice {}", who, what, notice);
    const std::string line = line_of(who, what, notice);  // in one write: lines of several processes do not mix
    const std::lock_guard lock(mutex_);
    if (path_.empty()) return;
    reopen_if_moved();
    if (::write(file_.number(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        spdlog::error("The audit log {} cannot be written: {}", path_, std::generic_category().message(errno));
}

/// What stays open is written to while no other can be made; that is said once.
void AuditLog::reopen_if_moved() {
    struct stat named {
    }, open{};
    if (shm::system::file_status(path_, named) == 0 && shm::system::file_status(file_.number(), open) == 0 &&
        shm::system::file_id(named) == shm::system::file_id(open))
        return;
    shm::system::Descriptor fresh = open_file(path_);
    if (!fresh.is_open() && !std::exchange(is_astray_, true))
        spdlog::error(
            "The audit log {} was moved away, and cannot be made anew ({}): what comes is written to the old one",
            path_, std::generic_category().message(errno));
    if (!fresh.is_open()) return;
    file_ = std::move(fresh);
    is_astray_ = false;
}

}  // namespace larder::tools
