// The file behind a path, whatever its path: by device, inode, and when it was made, since inodes are used again.
#pragma once

#include <string>

namespace larder {

/// "" where no file is.
std::string file_identity(const std::string& path);

}  // namespace larder
