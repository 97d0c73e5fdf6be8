// The doctor: what is wrong with a segment, what may become a problem, and what to do about it. Only loads, as the
// inspector; what other processes change meanwhile is looked at again before it is believed to be wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "shm/finding.hpp"
#include "shm/layout.hpp"

namespace larder::shm {

struct Examination {
    bool checksums = false;   ///< read every value and compare its checksum: as slow as memory
    std::int64_t now_ns = 0;  ///< on the segment's clock
    std::function<void(std::uint64_t done, std::uint64_t total)> progress;  ///< may be empty
    std::function<void(std::int64_t ns)> pause;                             ///< before a second look; empty: sleeps
};

/// All findings of one segment, the worst first. Takes time in proportion to the directories (and, with checksums, to
/// the values), and at most a second of waiting for second looks.
std::vector<Finding> examine(const SegmentView& view, const Examination& examination);

// The parts of it.
/// Waits before a second look.
void pause(const Examination& examination, std::int64_t ns);
void examine_control(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings);
void examine_directories(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings);
void examine_processes(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings);
void examine_traffic(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings);

}  // namespace larder::shm
