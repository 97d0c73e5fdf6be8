// The control data of a segment in plain shared memory, for tests of one part of it. No arenas, no file.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "shm/layout.hpp"

namespace larder::test {

/// Zeroed, shared with forked children. REQUIRES: tracked_keys is a multiple of shards * kKeyWindow.
class PlainSegment {
public:
    explicit PlainSegment(std::uint64_t tracked_keys = 0, std::uint32_t shards = 1) {
        geometry_.shards = shards;
        geometry_.tracked_keys = tracked_keys;
        geometry_.registry_at = take(sizeof(shm::SegmentHeader));
        geometry_.registry_at = take(sizeof(shm::ProcessSlot) * shm::kProcesses);
        geometry_.threads_at = take(sizeof(shm::ThreadBlock) * shm::kProcesses * shm::kThreadBlocks);
        geometry_.leases_at = take(sizeof(shm::LeaseGroup) * shm::kLeaseLocks);
        geometry_.keys_at = take(sizeof(shm::KeyEntry) * tracked_keys);
        geometry_.key_hits_at = take(sizeof(shm::Word64) * shm::kHitStripes * tracked_keys);
        geometry_.segment_bytes = end_;
        memory_ = ::mmap(nullptr, end_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) throw std::runtime_error("mmap");
    }
    PlainSegment(const PlainSegment&) = delete;
    ~PlainSegment() { ::munmap(memory_, end_); }

    shm::SegmentView view() const { return {static_cast<std::byte*>(memory_), end_, &geometry_}; }

private:
    std::uint64_t take(std::uint64_t bytes) {
        const std::uint64_t at = end_;
        end_ += (bytes + shm::kPageBytes - 1) / shm::kPageBytes * shm::kPageBytes;
        return at;
    }

    shm::Geometry geometry_{};
    std::uint64_t end_ = 0;
    void* memory_ = nullptr;
};

}  // namespace larder::test
