// Scenario: which fleet is simulated, under what load, for how long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace larder::bench::sim {

enum class Mode : std::uint8_t {
    outbox,  ///< every host reads the outbox when the doorbell rings
    stream,  ///< one relay reads it, and NATS carries the notices
};
inline std::string_view name_of(Mode mode) { return mode == Mode::outbox ? "outbox" : "stream"; }

struct Scenario {
    std::uint32_t hosts = 100, assignments = 1'000;
    double changes_per_s = 10;         ///< in the whole fleet
    double views_per_s = 20;           ///< at each host
    double zipf_exponent = 0.99;       ///< of views, and of changes
    bool changes_where_viewed = true;  ///< the same assignments are popular with both; else dealt anew
    Mode mode = Mode::outbox;
    bool has_second_tier = false;

    double ttl_s = 300, recompute_interval_s = 0.1;
    double bell_interval_s = 0.01, heartbeat_s = 0.5, ask_interval_s = 0.5;
    double poll_s = 0.01;  ///< of a host that waits for another's document
    double lease_s = 3;    ///< the fleet's lease expires
    int workers = 4;       ///< sessions of a host at the database, beside its listener

    double warm_up_s = 3, measured_s = 20;
    std::uint64_t seed = 1;
    bool every_view = false;  ///< each view is an event: slow, and the proof of what is faster
};

}  // namespace larder::bench::sim
