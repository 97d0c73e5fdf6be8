#include "shm/replacement.hpp"

#include <errno.h>

#include <chrono>
#include <cstring>
#include <memory>

#include "shm/process.hpp"
#include "shm/testing.hpp"

namespace larder::shm {

void retire_segment(const Location& location, LockFile& lock_file, const Segment& segment,
                    std::chrono::milliseconds patience) {
    if (!lock_file.take_administration(patience)) {
        throw OpenError("attach", "another process is replacing " + location.segment_path(),
                        "if it hangs, end it (`larder stat`), then try again");
    }
    close_for_good(segment.view());
    LARDER_CRASH_POINT("replacement.closed");
    struct stat status {};
    const std::string path = location.segment_path();
    int error = system::file_status(path, status, false);
    const bool named = error == 0 && system::file_id(status) == segment.file();  // else somebody was faster
    error = named ? system::remove_file(path) : 0;
    LARDER_CRASH_POINT("replacement.removed");
    lock_file.drop_administration();
    if (error != 0 && error != -ENOENT)
        throw OpenError("attach", "cannot remove " + path + ": " + std::strerror(-error), "check the directory's mode");
}

bool remove_cache(const Location& location, std::chrono::milliseconds patience) {
    const process::Lock lock(patience);
    if (!lock.is_held()) throw OpenError("attach", "another thread of this process is opening a cache", "try again");
    const std::unique_ptr<Segment> segment = Segment::attach(location);
    if (segment == nullptr) return false;
    retire_segment(location, *LockFile::open(location.lock_path()), *segment, patience);
    system::remove_file(location.socket_path());
    return true;
}

}  // namespace larder::shm
