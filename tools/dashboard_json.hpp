// What the dashboard is sent, as JSON. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/access.hpp"
#include "core/warm_queue.hpp"
#include "shm/counters.hpp"
#include "shm/histogram.hpp"
#include "shm/inspector.hpp"
#include "shm/layout.hpp"
#include "tools/assignment_rates.hpp"
#include "tools/top_snapshot.hpp"

namespace larder::tools {

/// One moment of a cache.
struct DashboardMoment {
    std::int64_t at_ms = 0;  ///< on the wall's clock
    TopSnapshot top;
    std::int64_t now_ns = 0;                                    ///< of the segment's clock, as is all that follows
    std::vector<std::pair<std::string, std::uint64_t>> totals;  ///< by the names that the segment has for its counters
    shm::HistogramSnapshot lookup_ns, compute_us, eviction_age_ms;
    std::vector<shm::NoticeFacts> notices;     ///< in their order
    std::vector<AssignmentRate> key_uses;      ///< of top.keys, in their order; without ids
    std::optional<std::vector<WarmJob>> jobs;  ///< nullopt: they cannot be read just now
};

/// All of it but top, key_uses included. Only loads.
DashboardMoment read_moment(const shm::SegmentView& view, TopSnapshot top, std::int64_t now_ns);

/// Keys that are not in the cache get their names where they are those of documents of these assignments.
void name_absent_keys(DashboardMoment& moment, const std::vector<AssignmentRate>& assignments);

inline constexpr std::size_t kShownKeys = 20, kShownNotices = 30;

/// `{role, user, cache, version, counters: [{name, meaning, remedy}]}`: what stays the same.
std::string hello_json(const Caller& caller, const std::string& cache);

/// Keys, the texts of notices, and processes are shown to an admin alone; `assignments` are the caller's own to see.
std::string moment_json(const DashboardMoment& moment, Role role, const std::vector<AssignmentRate>& assignments);

}  // namespace larder::tools
