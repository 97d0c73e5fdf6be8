#include "tools/trace_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/csv_reader.hpp"

namespace larder::tools {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& reason) { throw CsvError(path, 0, 0, reason); }

std::string error_text() { return std::string(" (") + std::strerror(errno) + ")"; }

/// False: an error.
bool write_all(int to, const char* bytes, std::size_t size) {
    while (size > 0) {
        const ssize_t written = ::write(to, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes += written;
        size -= static_cast<std::size_t>(written);
    }
    return true;
}

}  // namespace

TraceFile::TraceFile(const std::string& path, std::uint64_t most_bytes) : name_(path), readable_(path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) refuse(path, "cannot be opened" + error_text());
    if (S_ISREG(status.st_mode)) return;
    const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (from < 0) refuse(path, "cannot be opened" + error_text());
    try {
        copy(from, most_bytes);
    } catch (...) {
        ::close(from);
        if (copy_ >= 0) ::close(copy_);
        throw;
    }
    ::close(from);
    readable_ = "/proc/self/fd/" + std::to_string(copy_);
}

TraceFile::~TraceFile() {
    if (copy_ >= 0) ::close(copy_);
}

void TraceFile::copy(int from, std::uint64_t most_bytes) {
    copy_ = ::memfd_create("larder-trace", MFD_CLOEXEC);
    if (copy_ < 0) refuse(name_, "cannot be kept in memory" + error_text() + "; write it to a file first");
    char buffer[1 << 16];
    for (std::uint64_t copied = 0;;) {
        const ssize_t got = ::read(from, buffer, sizeof buffer);
        if (got == 0) return;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) refuse(name_, "cannot be read to its end" + error_text());
        copied += static_cast<std::uint64_t>(got);
        if (copied > most_bytes)
            refuse(name_, "is no file and has more than " + std::to_string(most_bytes >> 20) +
                              " MiB; write it to a file first");
        if (!write_all(copy_, buffer, static_cast<std::size_t>(got)))
            refuse(name_, "cannot be kept in memory" + error_text() + "; write it to a file first");
    }
}

}  // namespace larder::tools
