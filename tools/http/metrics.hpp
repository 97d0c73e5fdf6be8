// Metrics: what a Prometheus is told of a cache. From the segment alone, so that every worker says the same of the
// host.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "shm/layout.hpp"

namespace larder::tools {

/// What the segment does not know.
struct MetricsBeside {
    std::string cache;                                    ///< its name: the label of larder_info
    bool relay_caught_up = false;                         ///< with the outbox of the database
    bool listening = false;                               ///< somebody takes notices at the socket
    std::optional<std::map<std::string, double>> jobs{};  ///< of warming, by state; nullopt: not known just now
    std::int64_t now_ns = 0;                              ///< on the segment's clock
};

/// The text format 0.0.4. Names begin with `larder_`, units are the base ones (seconds, bytes), no label has a key in
/// it. Each counter of the segment is there, one of a newer library too. Only loads, from a mapping that may be
/// read-only; its cost does not depend on the number of entries.
std::string metrics_text(const shm::SegmentView& view, const MetricsBeside& beside);

}  // namespace larder::tools
