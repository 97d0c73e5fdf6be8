#include "tools/serve_status.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace larder::tools {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

std::int64_t steady_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

ServeStatusPage ServeStatusPage::create() {
    const int fd = ::memfd_create("larder-serve-status", MFD_CLOEXEC);
    if (fd < 0) fail("memfd_create");
    if (::ftruncate(fd, sizeof(ServeStatus)) != 0) {
        ::close(fd);
        fail("ftruncate");
    }
    return ServeStatusPage(fd);
}

ServeStatusPage ServeStatusPage::inherited() {
    if (::fcntl(inherited_fd, F_SETFD, FD_CLOEXEC) != 0) fail("the supervisor's status page");
    return ServeStatusPage(inherited_fd);
}

// Zeros are the initial state of every field.
ServeStatusPage::ServeStatusPage(int fd) : fd_(fd), status_(nullptr) {
    void* const page = ::mmap(nullptr, sizeof(ServeStatus), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) fail("mmap");
    status_ = static_cast<ServeStatus*>(page);
}

ServeStatusPage::ServeStatusPage(ServeStatusPage&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), status_(std::exchange(other.status_, nullptr)) {}

ServeStatusPage::~ServeStatusPage() {
    if (status_ != nullptr) ::munmap(status_, sizeof(ServeStatus));
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace larder::tools
