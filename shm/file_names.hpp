// The names in a directory. Not by std::filesystem: with GCC 12 its iterators end the program where no memory is left.
#pragma once

#include <dirent.h>
#include <errno.h>

#include <memory>
#include <string_view>

namespace larder::shm {

class FileNames {
public:
    explicit FileNames(const char* directory) : stream_(::opendir(directory)), error_(stream_ ? 0 : errno) {}

    /// The next one, but for "." and ".."; valid until the next call. Null: that was all, or error() says why not.
    const char* next() {
        while (error_ == 0) {
            errno = 0;
            const dirent* const entry = ::readdir(stream_.get());
            if (entry == nullptr) {
                error_ = errno;
                return nullptr;
            }
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") return entry->d_name;
        }
        return nullptr;
    }
    int error() const { return error_; }

private:
    struct Close {
        void operator()(DIR* stream) const { ::closedir(stream); }
    };
    std::unique_ptr<DIR, Close> stream_;
    int error_;
};

}  // namespace larder::shm
