// What `larder stat` prints.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "tools/inspection.hpp"
#include "tools/rates.hpp"

namespace larder::tools {

/// Sections: the cache, counters, latencies and ages, processes, leases, the last notices, and on request the shards.
std::string stat_text(const Inspection& inspection, std::int64_t now_ns, bool shards);
boost::json::object stat_json(const Inspection& inspection, std::int64_t now_ns);

// What happened a second between two samples; zeros when the segment is another one.
/// What the first line of rates is: a mean since the cache was made.
std::string rates_title(const Inspection& inspection, std::int64_t now_ns, std::chrono::milliseconds interval);
std::string rates_header();
std::string rates_line(const Sample& from, const Sample& to);
boost::json::object rates_json(const Sample& from, const Sample& to);

}  // namespace larder::tools
