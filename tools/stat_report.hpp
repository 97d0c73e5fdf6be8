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

// What happened a second between two samples of one segment. All lines of text fit into 80 columns, but for a title
// with a long name.
/// What the first line of rates is: a mean since the cache was made.
std::string rates_title(const Inspection& inspection, std::int64_t now_ns, std::chrono::milliseconds interval);
std::string rates_header();
std::string rates_line(const Sample& from, const Sample& to);
/// `replaced`: another cache of the name than before; `from` is when it was made.
boost::json::object rates_json(const Sample& from, const Sample& to, bool replaced = false);

}  // namespace larder::tools
