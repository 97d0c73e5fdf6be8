#include "tools/inspection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <filesystem>

#include "core/utf8.hpp"
#include "shm/elapsed.hpp"
#include "shm/key_table.hpp"
#include "shm/system.hpp"
#include "tools/json_lines.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

boost::json::value or_null(const std::optional<std::int64_t>& value) {
    return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

/// `tags` for people, whatever their bytes; `tags_base64` beside it where one of them is not UTF-8.
void put_tags(boost::json::object& object, const std::vector<std::string>& tags) {
    boost::json::array shown, exact;
    for (const std::string& tag : tags) {
        shown.emplace_back(to_utf8(tag));
        exact.emplace_back(base64(tag));
    }
    object["tags"] = std::move(shown);
    if (!std::all_of(tags.begin(), tags.end(), [](const std::string& tag) { return is_utf8(tag); }))
        object["tags_base64"] = std::move(exact);
}

}  // namespace

shm::Location require_cache(const Options& options) {
    const shm::Location location = shm::locate(options.directory, options.name, false);
    std::error_code error;
    if (!std::filesystem::exists(location.segment_path(), error))
        throw Refusal(kNegative, fmt::format("no cache {} in {}", location.name, location.directory));
    return location;
}

Inspection inspect(const Options& options) {
    shm::Location location = require_cache(options);
    shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
    return {std::move(location), std::move(segment)};
}

std::vector<std::string> cache_names(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (at->path().extension() == ".seg" && shm::is_valid_name(at->path().stem().string()))
            names.push_back(at->path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
}

std::int64_t segment_now_ns() { return shm::system::coarse_ns(); }

EntryLine entry_line(const shm::SegmentView& view, const shm::Entry& entry, std::int64_t now_ns) {
    EntryLine line;
    line.ttl_ms = shm::elapsed_ns(now_ns, entry.expires_ns) / kNsPerMs;
    line.age_ms = std::max<std::int64_t>(0, shm::elapsed_ns(entry.created_ns, now_ns)) / kNsPerMs;
    if (entry.last_used_ns)  // kept in steps of 128 ms, which may begin before the entry does
        line.last_used_ms = std::min(line.age_ms, std::max<std::int64_t>(0, now_ns - *entry.last_used_ns) / kNsPerMs);
    const KeyUse use = shm::KeyTable(view).use(entry.hash, entry.shard, now_ns);
    if (use.tracked) line.hits = use.hits;
    return line;
}

boost::json::object entry_json(const shm::Entry& entry, const EntryLine& line, bool with_value) {
    boost::json::object object;
    put_text(object, "key", entry.key);
    object["size_bytes"] = entry.value_bytes;
    object["ttl_ms"] = line.ttl_ms;
    object["age_ms"] = line.age_ms;
    object["last_used_ms"] = or_null(line.last_used_ms);
    object["hits"] = line.hits ? boost::json::value(*line.hits) : boost::json::value(nullptr);
    put_tags(object, entry.tags);
    object["state"] = shm::name_of(entry.state);
    if (with_value) object["value_base64"] = base64(entry.value);
    return object;
}

}  // namespace larder::tools
