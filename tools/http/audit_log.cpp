#include "tools/http/audit_log.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "core/json_writer.hpp"
#include "core/timestamp.hpp"
#include "tools/terminal.hpp"

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

}  // namespace

AuditLog::AuditLog(const std::string& path) : path_(path) {
    if (path.empty()) return;
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd_ < 0)
        throw std::runtime_error("the audit log " + path + " cannot be written (" +
                                 std::generic_category().message(errno) + "): name another file");
}

AuditLog::~AuditLog() {
    if (fd_ >= 0) ::close(fd_);
}

void AuditLog::note(std::string_view who, std::string_view what, std::uint64_t notice) {
    spdlog::info("Audit: {} invalidated {}: notice {}", who, escaped(what), notice);
    if (fd_ < 0) return;
    const std::string line = line_of(who, what, notice);  // in one write: lines of several processes do not mix
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        spdlog::error("The audit log {} cannot be written: {}", path_, std::generic_category().message(errno));
}

}  // namespace larder::tools
