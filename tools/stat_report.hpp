// What `larder stat` prints.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "shm/counters.hpp"
#include "shm/inspector.hpp"
#include "tools/inspection.hpp"

namespace larder::tools {

/// Sections: the cache, counters, latencies and ages, processes, leases, the last notices, and on request the shards.
std::string stat_text(const Inspection& inspection, std::int64_t now_ns, bool shards);
boost::json::object stat_json(const Inspection& inspection, std::int64_t now_ns);

/// All totals at one moment.
struct Sample {
    std::chrono::steady_clock::time_point at;
    std::uint64_t incarnation = 0;
    shm::CounterTotals totals;
    shm::Gauges gauges;
};
Sample take_sample(const Inspection& inspection);

// What happened a second between two samples; zeros when the segment is another one.
std::string rates_header();
std::string rates_line(const Sample& from, const Sample& to);
boost::json::object rates_json(const Sample& from, const Sample& to);

}  // namespace larder::tools
