#include "tools/port_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr mode_t kMode = 0644;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw Refusal(kFailure,
                  fmt::format("the port cannot be written to {}: {}; give --port-file another path", path, why));
}

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace

PortFile::PortFile(std::string path) : path_(std::move(path)), unfinished_(path_ + ".new") {
    if (path_.empty()) return;
    struct stat status {};
    if (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) refuse(path_, "it is no regular file");
    fd_ = ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
    if (fd_ < 0) refuse(path_, error_text(errno));
    if (::unlink(path_.c_str()) == 0 || errno == ENOENT) return;
    const int error = errno;
    std::remove(unfinished_.c_str());
    ::close(fd_);
    refuse(path_, error_text(error));
}

PortFile::~PortFile() {
    if (fd_ < 0) return;
    std::remove(unfinished_.c_str());
    ::close(fd_);
}

void PortFile::publish(std::uint16_t port) {
    if (path_.empty()) return;
    const std::string text = fmt::format("{}\n", port);
    errno = ENOSPC;  // what a short write means
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) refuse(path_, error_text(errno));
    if (std::rename(unfinished_.c_str(), path_.c_str()) != 0) refuse(path_, error_text(errno));
    ::close(std::exchange(fd_, -1));
}

}  // namespace larder::tools
