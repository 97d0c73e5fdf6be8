// Estates: what dead processes held in the segment, and how long it takes until it is given back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "shm/layout.hpp"

namespace larder::torture {

/// Slot, pins and leases; the bytes that pins kept are looked at while nobody writes.
class Estates {
public:
    explicit Estates(const shm::SegmentView& view) : view_(view) {}

    /// Of a process that is about to be killed; none, while it has no slot.
    void open(pid_t pid);
    /// Closes those of which nothing is left. Empty, or what the one that is open longest still has, if it is open for
    /// so long.
    std::string close(std::int64_t patience_ns);

    bool all_closed() const { return open_.empty(); }
    /// From each kill to the first look that found nothing left.
    const std::vector<std::int64_t>& times_ns() const { return times_ns_; }

private:
    struct Estate {
        pid_t pid = 0;
        std::uint32_t slot = 0;
        std::uint64_t incarnation = 0;
        std::int64_t killed_ns = 0;
    };

    const char* left_of(const Estate& estate) const;
    bool has_pins(std::uint32_t slot) const;
    bool has_lease(const Estate& estate) const;

    const shm::SegmentView& view_;
    std::vector<Estate> open_;  // in the order of their deaths
    std::vector<std::int64_t> times_ns_;
};

}  // namespace larder::torture
