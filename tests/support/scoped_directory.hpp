// A directory of mode 0700 for one test, on tmpfs where there is one; gone with all that is in it at the end of the
// scope.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace larder::test {

class ScopedDirectory {
public:
    explicit ScopedDirectory(const std::string& parent = default_parent()) : owner_(::getpid()) {
        path_ = parent + "/larder-test-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make a directory in " + parent);
    }
    ScopedDirectory(const ScopedDirectory&) = delete;
    ScopedDirectory& operator=(const ScopedDirectory&) = delete;
    ~ScopedDirectory() {
        if (::getpid() != owner_) return;  // a forked child leaves it alone
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

    static std::string default_parent() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

private:
    std::string path_;
    pid_t owner_;
};

}  // namespace larder::test
