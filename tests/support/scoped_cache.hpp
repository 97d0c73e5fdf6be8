// A small cache in a directory of its own, under a manual clock, with a look into its segment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "shm/cache.hpp"
#include "shm/counters.hpp"
#include "shm/geometry.hpp"
#include "shm/hash.hpp"
#include "shm/inspector.hpp"
#include "shm/layout.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::test {

/// One shard of the least size unless `options` say otherwise. Everything random in it is the same each time.
class ScopedCache {
public:
    explicit ScopedCache(Options options_ = {}, std::uint64_t more_bytes = 0,
                         const std::string& parent = ScopedDirectory::default_parent())
        : directory(parent),
          options(completed(std::move(options_), more_bytes)),
          cache(Cache::open(options)),
          segment_(shm::Segment::attach_read_only(cache.segment_path())) {
        // Where it took long to find out whether there was another of this name, it is closed for a moment.
        eventually([this] { return shm::system::coarse_ns() >= view().header().open_at_ns.load(); });
    }

    const shm::SegmentView& view() const { return segment_.view(); }
    shm::CounterTotals totals() const { return shm::read_totals(view()); }
    std::uint64_t count(shm::Counter counter) const { return totals()[counter]; }
    std::uint64_t entries() const { return shm::read_gauges(view()).entries; }
    std::uint64_t used_bytes() const { return shm::read_gauges(view()).arena_used_bytes; }

    std::uint64_t hash(std::string_view key) const { return shm::hash_of(key, view().header().hash_seed); }
    std::uint32_t shard_of(std::string_view key) const { return shm::shard_of(hash(key), view().geometry->shards); }
    /// The n-th key with this prefix that lies in the shard.
    std::string key_in(std::uint32_t shard, std::uint32_t n, const std::string& prefix = "k:") const {
        for (std::uint32_t i = 0;; ++i) {
            std::string key = prefix + std::to_string(i);
            if (shard_of(key) == shard && n-- == 0) return key;
        }
    }

    const ScopedDirectory directory;
    const std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
    const Options options;
    Cache cache;

private:
    Options completed(Options given, std::uint64_t more_bytes) const {
        given.directory = directory.path();
        if (given.clock == nullptr) given.clock = clock;
        if (given.shards == 0) given.shards = 1;
        if (given.tracked_keys == 0) given.tracked_keys = 2048;
        if (given.expected_entries == 0 && given.max_entries == 0) given.expected_entries = 400;
        if (given.random_seed == 0) given.random_seed = 1;
        given.size_bytes = shm::required_bytes(given) + more_bytes;
        return given;
    }

    shm::Segment segment_;
};

}  // namespace larder::test
