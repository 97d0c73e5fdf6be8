#include "core/file_identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace larder {

std::string file_identity(const std::string& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) return {};
    return std::to_string(status.stx_dev_major) + "." + std::to_string(status.stx_dev_minor) + "." +
           std::to_string(status.stx_ino) + "." + std::to_string(status.stx_btime.tv_sec) + "." +
           std::to_string(status.stx_btime.tv_nsec);
}

}  // namespace larder
