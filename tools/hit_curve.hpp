// HitCurve: the hit ratio of an exact LRU of every size, from one reading of a trace.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace larder::tools {

class HitCurve {
public:
    /// Of keys and values in the unit that a size is given in.
    enum class Unit : std::uint8_t { entries, bytes };

    /// Reads the trace once. `entry_bytes`: what an entry costs beside its key and value. `one_in`: the trace has the
    /// requests of one key in so many, by which all sizes are multiplied (SHARDS). Throws CsvError.
    static HitCurve of(const std::string& trace, std::uint64_t entry_bytes, std::uint64_t one_in = 1,
                       const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

    /// Those of a whole trace, where only a sample of its keys is there.
    std::uint64_t requests() const { return saturated(requests_, one_in_); }
    /// The largest value.
    std::uint64_t largest() const { return largest_; }
    /// Distinct ones, and what all of them take together.
    std::uint64_t keys() const { return keys_; }
    std::uint64_t bytes() const { return bytes_; }
    /// Of a cache that forgets nothing.
    double most() const { return ratio(hits_of_all()); }

    /// Of an LRU that holds so much.
    double hit_ratio(Unit unit, std::uint64_t size) const;
    /// The smallest that reaches it; nullopt: none does.
    std::optional<std::uint64_t> smallest(Unit unit, double hit_ratio) const;

private:
    /// Sums: hits of a cache of that size or larger. Sizes of entries are exact, of bytes rounded up by less than 1 %.
    using Steps = std::map<std::uint64_t, std::uint64_t>;
    const Steps& steps(Unit unit) const { return unit == Unit::entries ? by_entries_ : by_bytes_; }
    std::uint64_t hits_of_all() const { return by_entries_.empty() ? 0 : by_entries_.rbegin()->second; }
    double ratio(std::uint64_t hits) const;
    static std::uint64_t saturated(std::uint64_t one, std::uint64_t times);

    Steps by_entries_, by_bytes_;
    std::uint64_t one_in_ = 1, requests_ = 0, keys_ = 0, bytes_ = 0, largest_ = 0;
};

}  // namespace larder::tools
