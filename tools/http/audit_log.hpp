// AuditLog: who invalidated what, and which notice it became.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::tools {

/// One line an invalidation: in the log, and as `{"at", "who", "what", "notice"}` at the end of a file, where one is
/// named. Several processes may write to one file. Threads: safe.
class AuditLog {
public:
    /// An empty path: the log alone. Throws std::runtime_error when the file cannot be opened.
    explicit AuditLog(const std::string& path);
    ~AuditLog();
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;

    /// A file that cannot be written any more is said in the log.
    void note(std::string_view who, std::string_view what, std::uint64_t notice);

private:
    std::string path_;
    int fd_ = -1;
};

}  // namespace larder::tools
