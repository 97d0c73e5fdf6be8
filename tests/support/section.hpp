// Where another process is, as its own word has it.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "shm/layout.hpp"

namespace larder::test {

/// The writing section of a shard.
struct Section {
    std::uint32_t shard = 0;
    bool rebuilding = false;
};

/// The section that the process is in, or died in, with its first thread. Only a few loads: sections take microseconds.
inline std::optional<Section> section_of(const shm::SegmentView& view, pid_t pid) {
    for (std::uint32_t slot = 0; slot < std::min(view.header().registry_high.load(), shm::kProcesses); ++slot) {
        if (view.process(slot).pid != static_cast<std::uint32_t>(pid)) continue;
        const std::uint32_t inside = view.threads(slot)->inside;
        if (inside == 0) return std::nullopt;
        return Section{(inside & ~shm::kRebuilding) - 1, (inside & shm::kRebuilding) != 0};
    }
    return std::nullopt;
}

}  // namespace larder::test
