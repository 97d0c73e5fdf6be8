#include "shm/socket/cache_sink.hpp"

#include "shm/cache_impl.hpp"

namespace larder::shm {

std::uint64_t CacheSink::invalidate(std::span<const std::string_view> keys) { return cache_.invalidate(keys); }
std::uint64_t CacheSink::invalidate_tag(std::string_view tag) { return cache_.invalidate(FenceKind::tag, tag); }
std::uint64_t CacheSink::invalidate_namespace(std::string_view name) {
    return cache_.invalidate(FenceKind::name_space, name);
}
std::uint64_t CacheSink::invalidate_all() { return cache_.invalidate(FenceKind::everything, {}); }
bool CacheSink::still_current() { return cache_.still_current(); }

/// Names are from the counter table: nothing in them needs escaping.
std::string CacheSink::stat_json() {
    const SegmentView& view = cache_.view();
    std::uint64_t entries = 0, payload_bytes = 0;
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        entries += view.shard(i).entries.load(std::memory_order_relaxed);
        payload_bytes += view.shard(i).payload_bytes.load(std::memory_order_relaxed);
    }
    std::string json = "{\"size_bytes\":" + std::to_string(view.geometry->segment_bytes) +
                       ",\"shards\":" + std::to_string(view.geometry->shards) +
                       ",\"entries\":" + std::to_string(entries) +
                       ",\"payload_bytes\":" + std::to_string(payload_bytes) + ",\"counters\":{";
    const CounterTotals totals = read_totals(view);
    const char* separator = "";
    for (const CounterText& row : kCounterTable) {
        json.append(separator).append("\"").append(row.name).append("\":").append(std::to_string(totals[row.counter]));
        separator = ",";
    }
    return json + "}}";
}

}  // namespace larder::shm
