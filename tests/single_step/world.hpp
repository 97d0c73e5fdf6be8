// What all processes of a sweep know: the cache, its clock, and the keys. The process that steps only looks at the
// segment: what opens the cache are others, so that a victim can open it as if it were the first.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "shm/geometry.hpp"
#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/proving_value.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tests/support/shared_object.hpp"

namespace larder::single_step {

inline constexpr std::uint32_t kShards = 4, kEntriesOfShard = 8, kResidents = 4;

struct World {
    World() {
        options.directory = directory.path();
        options.clock = clock;
        options.shards = kShards;
        options.max_entries = kShards * kEntriesOfShard;
        options.tracked_keys = 128;
        options.random_seed = 1;
        options.lock_budget = std::chrono::milliseconds(2'000);  // for a loaded machine
        options.size_bytes = shm::required_bytes(options);
        another = options;
        another.name = "another";
    }
    std::string segment_path(const Options& of) const { return directory.file(of.name + ".seg"); }
    std::string lock_path(const Options& of) const { return directory.file(of.name + ".lock"); }

    const test::ScopedDirectory directory;
    const std::shared_ptr<test::ManualClock> clock = std::make_shared<test::ManualClock>();
    Options options, another;  // another: what a victim makes
};

/// The cache as one process has it open, and what it uses there: made before, so that no step is spent on it.
class Side {
public:
    static constexpr std::uint32_t kVictims = 1 + kEntriesOfShard - kResidents;

    Side(Cache cache_, const shm::SegmentView& view) : cache(std::move(cache_)) {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
            residents_[shard] = keys_in(view, shard, kResidents, "resident:");
            probes_[shard] = keys_in(view, shard, 1, "probe:");
        }
        victims_ = keys_in(view, 0, kVictims, "victim:");
        value = test::proving_value(victims_.front(), 2);
        tagged.tags = {"victims", "others"};
    }

    const std::string& resident(std::uint32_t shard, std::uint32_t n) const { return residents_[shard][n]; }
    const std::string& probe(std::uint32_t shard) const { return probes_[shard].front(); }
    /// In shard 0. The first is the one that victims work on.
    const std::string& victim(std::uint32_t n = 0) const { return victims_[n]; }
    PutResult put(const std::string& key, std::uint64_t version) {
        return cache.put(key, test::proving_value(key, version));
    }

    Cache cache;
    std::string value;  // version 2 of victim()
    EntryOptions tagged;

private:
    using Keys = std::vector<std::string>;

    static Keys keys_in(const shm::SegmentView& view, std::uint32_t shard, std::uint32_t count, const char* prefix) {
        Keys keys;
        for (std::uint32_t i = 0; keys.size() < count; ++i) {
            std::string key = prefix + std::to_string(i);
            if (shm::shard_of(shm::hash_of(key, view.header().hash_seed), kShards) == shard)
                keys.push_back(std::move(key));
        }
        return keys;
    }

    std::array<Keys, kShards> residents_, probes_;
    Keys victims_;
};

/// What the survivor measures.
struct Answers {
    std::array<std::atomic<std::int64_t>, kShards> ns{};
};

}  // namespace larder::single_step
