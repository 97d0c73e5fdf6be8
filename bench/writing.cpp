#include "bench/writing.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "bench/scoped_cache.hpp"
#include "bench/workload.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kPreparedBytes = 128 << 10;  // of values: in the processor's cache, as what was just computed is
constexpr std::uint64_t kEntryBytes = 256;  // beside the value, at least: the cache is full before the directory is
constexpr std::string_view kTag = "course:1";

/// Prepared, so that making keys and values is not measured.
struct Writes {
    std::vector<Key> keys;
    std::vector<std::string> values;
    std::string_view key(std::size_t n) const { return keys[n].text(); }
    const std::string& value(std::size_t n) const { return values[n % values.size()]; }
};

Writes prepare(std::size_t keys, std::size_t value_bytes) {
    Writes writes;
    for (std::uint32_t n = 0; n < keys; ++n) writes.keys.push_back(key_of(n));
    for (std::uint32_t n = 0; n < kPreparedBytes / value_bytes; ++n) writes.values.push_back(value_of(n, value_bytes));
    return writes;
}

}  // namespace

Quantiles sample_evicting_puts(std::size_t value_bytes, std::size_t samples) {
    // Its memory is what binds, with room in the directories and the key table for every entry.
    Options options;
    options.role = "bench";
    options.expected_entries = options.size_bytes / (value_bytes + kEntryBytes);
    options.tracked_keys = options.expected_entries / 2;
    ScopedCache cache(options);
    const std::size_t before = 2 * options.expected_entries;
    const Writes writes = prepare(before + samples, value_bytes);
    for (std::size_t n = 0; n < before; ++n)
        require(cache->put(writes.key(n), writes.value(n)) == PutResult::stored, "a put was refused");
    require(!cache->contains(writes.key(0)), "the cache is not full");
    std::size_t stored = 0;
    const Quantiles times = sample(samples, [&](std::size_t n) {
        stored += cache->put(writes.key(before + n), writes.value(before + n)) == PutResult::stored ? 1 : 0;
    });
    require(stored == samples, "a put was refused");
    require(cache->get(writes.key(before + samples - 1)).value() == writes.value(before + samples - 1),
            "the last put is lost");
    return times;
}

Quantiles sample_overwriting_puts(std::size_t value_bytes, std::size_t samples) {
    const std::uint32_t entries = kKeys / 4;
    ScopedCache cache(roomy(entries, value_bytes));
    const Writes writes = prepare(entries, value_bytes);
    fill(*cache, entries, value_bytes);
    std::size_t stored = 0;
    const Quantiles times = sample(samples, [&](std::size_t n) {
        stored += cache->put(writes.key(n * 7 % entries), writes.value(n)) == PutResult::stored ? 1 : 0;
    });
    require(stored == samples, "a put was refused");
    require(cache->get(writes.key((samples - 1) * 7 % entries)).value() == writes.value(samples - 1),
            "the last put is lost");
    return times;
}

std::string_view name_of(Notice notice) {
    switch (notice) {
    case Notice::key:
        return "key";
    case Notice::tag:
        return "tag";
    case Notice::name_space:
        return "namespace";
    default:
        return "all";
    }
}

void fill_tagged(Cache& cache, std::uint32_t entries) {
    EntryOptions options;
    options.tags = {std::string(kTag)};
    const std::string value = value_of(0, 16);
    for (std::uint32_t n = 0; n < entries; ++n)
        require(cache.put(key_of(n).text(), value, options) == PutResult::stored, "a put was refused");
    require(cache.contains(key_of(0).text()), "the cache is too small for the benchmark");
}

Quantiles sample_notices(Cache& cache, Notice notice, std::uint32_t entries, std::size_t samples) {
    const std::size_t keys = std::min<std::size_t>(entries, 1024);
    const Writes writes = prepare(keys, 16);
    std::uint64_t last = 0;
    const Quantiles times = sample(samples, [&](std::size_t n) {
        switch (notice) {
        case Notice::key:
            last = cache.invalidate(writes.key(n % keys));
            break;
        case Notice::tag:
            last = cache.invalidate_tag(kTag);
            break;
        case Notice::name_space:
            last = cache.invalidate_namespace("assignment_stats");
            break;
        default:
            last = cache.invalidate_all();
            break;
        }
    });
    require(last >= samples, "a notice was not announced");
    require(!cache.contains(writes.key(0)), "a notice did not take effect");
    return times;
}

}  // namespace larder::bench
