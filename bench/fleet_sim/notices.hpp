// Notices: how a commit becomes known at every host.
#pragma once

#include <cstdint>

#include "bench/fleet_sim/changes.hpp"
#include "bench/fleet_sim/delays.hpp"

namespace larder::bench::sim {

/// What was counted since the last call of begin_measuring.
struct NoticeCounts {
    std::uint64_t looks = 0;     ///< at the outbox
    std::uint64_t told = 0;      ///< changes that the relay handed on; in mode `outbox` the ringer's own
    std::uint64_t messages = 0;  ///< deliveries to hosts: through NATS, or doorbells
    Delays staleness;            ///< of each change at each host: from the commit until it is served no more
    Delays answers;              ///< of the relay to "how far should I have read"
};

class Notices {
public:
    virtual ~Notices() = default;
    virtual void start() = 0;
    /// The host has applied all changes before this one.
    virtual Position known(std::uint32_t host) const = 0;

    const NoticeCounts& counts() const { return counts_; }
    void begin_measuring() { counts_ = {}; }

protected:
    NoticeCounts counts_;
};

}  // namespace larder::bench::sim
