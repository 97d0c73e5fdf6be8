// AuditLog: who invalidated what, and which notice it became.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "shm/system.hpp"

namespace larder::tools {

/// One line an invalidation: in the log, and as `{"at", "who", "what", "notice"}` at the end of a file, where one is
/// named. Several processes may write to one file; one that was moved away (logrotate) is made anew. Threads: safe.
class AuditLog {
public:
    /// An empty path: the log alone. Throws std::runtime_error when the file cannot be opened.
    explicit AuditLog(const std::string& path);

    /// Another file from now on. Throws as the constructor: then it is the old one.
    void write_to(const std::string& path);

    /// A file that cannot be written any more, or made anew, is said in the log.
    void note(std::string_view who, std::string_view what, std::uint64_t notice);

    /// Throws std::runtime_error where the file could not be opened; makes none.
    static void check(const std::string& path);

private:
    void reopen_if_moved();
    std::mutex mutex_;
    std::string path_;
    shm::system::Descriptor file_;
    bool is_astray_ = false;  // it is not the path's any more, and no other could be made
};

}  // namespace larder::tools
