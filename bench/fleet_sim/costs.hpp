// Costs: what the simulation is given. A file says of each how it was measured.
#pragma once

#include <span>
#include <string>

namespace larder::bench::sim {

/// Microseconds of a processor of the program that does it, unless it says otherwise.
struct Costs {
    double look_of_us(double rows) const { return rows > 0 ? look_found_us + (rows - 1) * look_row_us : look_us; }

    // PostgreSQL
    double look_us = 0;        ///< at the outbox, nothing found
    double look_found_us = 0;  ///< one that found one row
    double look_row_us = 0;    ///< each further row found
    double beat_us = 0;        ///< what the first look since a heartbeat asks besides: whose lock, which history
    double notify_us = 0;      ///< NOTIFY, committed, nobody listens
    double bell_us = 0;        ///< each session that listens, besides
    double trigger_us = 0;     ///< what the triggers add to a change of one row
    double compute_us = 0;     ///< reading what a document is made of
    double database_processors = 0;

    // One nats-server of the cluster: of a replicated write, what its leader does and what each other one does.
    double publish_leader_us = 0, publish_follower_us = 0;
    double deliver_us = 0;        ///< one message of the stream to one ordered consumer
    double deliver_plain_us = 0;  ///< to one subscriber of the subject, who has nothing of the stream
    double ask_us = 0;            ///< a request and its reply pass through
    double kv_get_us = 0;         ///< by any server
    double kv_get_leader_us = 0, kv_get_follower_us = 0;  ///< of the latest: the others pass it on
    double kv_put_leader_us = 0, kv_put_follower_us = 0;
    double kv_create_leader_us = 0, kv_create_follower_us = 0;
    double replicate_us = 0;  ///< what a replicated write waits for besides: not a processor's time
    double nats_processors = 0, nats_servers = 0;

    // The relay's process
    double relay_row_us = 0;     ///< a notice handed on
    double relay_answer_us = 0;  ///< how far it has read, told

    double round_trip_us = 0;  ///< between any two hosts: not a processor's time
};

struct CostName {
    const char* name;  ///< in the file
    double Costs::*value;
};
std::span<const CostName> cost_names();

/// Throws std::runtime_error, which names what is missing or no number.
Costs read_costs(const std::string& path);

}  // namespace larder::bench::sim
