// What the verbs that only look share: an existing cache, mapped read-only, and its entries as JSON.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"

namespace larder::tools {

/// An existing cache that this process is not attached to.
struct Inspection {
    shm::Location location;
    shm::Segment segment;
    const shm::SegmentView& view() const { return segment.view(); }
};

/// Throws Refusal with exit code 1 and `no cache NAME in DIR` when it is not there, OpenError when it is none of ours.
Inspection inspect(const Options& options);

/// Where the cache is. Throws as inspect.
shm::Location require_cache(const Options& options);

/// Names of the caches in a directory, sorted.
std::vector<std::string> cache_names(const std::string& directory);

/// Now, on the clock of all segments of the host.
std::int64_t segment_now_ns();

/// An entry beside the times of now: `{key, size_bytes, ttl_ms, age_ms, last_used_ms, hits, tags, state}`; what is not
/// known (last use with strict recency, hits of an untracked key) is null. ttl_ms is negative when it is over.
struct EntryLine {
    std::int64_t ttl_ms = 0, age_ms = 0;
    std::optional<std::int64_t> last_used_ms;
    std::optional<std::uint64_t> hits;  ///< of the last 24 hours
};
EntryLine entry_line(const shm::SegmentView& view, const shm::Entry& entry, std::int64_t now_ns);
boost::json::object entry_json(const shm::Entry& entry, const EntryLine& line, bool with_value);

}  // namespace larder::tools
