// A segment that can be put back, again and again, to what it was: what a test or a fuzzer runs on when each run has to
// start alike. (A segment's mapping stays until its process ends, so that a new one for each run is no way.)
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "shm/layout.hpp"

namespace larder::test {

/// From its making on this process writes to private copies of the segment's pages; the file stays as it is.
/// REQUIRES: the process has the segment mapped for writing, and nobody else uses it.
class SegmentSnapshot {
public:
    explicit SegmentSnapshot(const std::string& path) {
        find_mapping(path);
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        void* const mapped = ::mmap(view_.base, view_.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0);
        ::close(file);
        if (mapped != view_.base) throw std::runtime_error("cannot map " + path + " again");
        geometry_ = view_.header().geometry;
        view_.geometry = &geometry_;
    }
    SegmentSnapshot(const SegmentSnapshot&) = delete;
    SegmentSnapshot& operator=(const SegmentSnapshot&) = delete;

    /// REQUIRES: no handle, lease or lock of it is held.
    void restore() const {
        if (::madvise(view_.base, view_.bytes, MADV_DONTNEED) != 0) throw std::runtime_error("madvise");
    }
    const shm::SegmentView& view() const { return view_; }

private:
    void find_mapping(const std::string& path) {
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) {
            if (line.find(" rw-s ") == std::string::npos || line.find(path) == std::string::npos) continue;
            std::uintptr_t first = 0, last = 0;
            char dash = 0;
            std::istringstream(line) >> std::hex >> first >> dash >> last;
            view_.base = reinterpret_cast<std::byte*>(first);
            view_.bytes = last - first;
            return;
        }
        throw std::runtime_error(path + " is not mapped");
    }

    shm::SegmentView view_;
    shm::Geometry geometry_{};
};

}  // namespace larder::test
