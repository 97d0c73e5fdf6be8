// What a cache and its processes use, looked at again and again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/latency_histogram.hpp"
#include "shm/layout.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::soak {

struct Sample {
    std::uint64_t private_kib = 0;  // of all processes looked at: resident, without the segment and the program's files
    std::uint64_t descriptors = 0;
    std::uint64_t file_kib = 0;  // what the segment's file takes
    std::uint64_t used_kib = 0;  // of it, in the arenas
    std::uint64_t slots = 0;     // of the registry, in use or not yet given back
    std::uint64_t lookups = 0, p50_ns = 0, p999_ns = 0;
};

class Sampler {
public:
    static constexpr std::size_t kFewest = 9;  // samples in which growth can be told from noise
    static constexpr std::size_t kTimedSamples = 36;

    Sampler(const shm::SegmentView& view, std::string path) : view_(view), path_(std::move(path)) {}

    /// Shared with forked children; one of them adds.
    LatencyHistogram& lookups() { return *lookups_; }

    static void print_heading();
    /// Takes a sample, and prints it as a line.
    void sample(std::uint64_t second, const std::vector<pid_t>& processes);
    /// Compares the middle of the last third with that of the first, the very first sample left out: what grew, in
    /// words. Empty: nothing grew. Times are judged from kTimedSamples on. REQUIRES: kFewest samples.
    std::string growth() const;

private:
    const shm::SegmentView& view_;
    const std::string path_;
    test::SharedObject<LatencyHistogram> lookups_;
    LatencyHistogram before_;
    std::vector<Sample> samples_;
};

}  // namespace larder::soak
