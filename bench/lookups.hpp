// One lookup of each kind, as a function of a key that returns what proves it: the size of the value found, and the sum
// of first words where the value was copied. The same bodies run under Google Benchmark and in interleaved rounds.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/flat_table.hpp"
#include "bench/locked_cache.hpp"
#include "bench/workload.hpp"
#include "shm/cache.hpp"
#include "shm/system.hpp"

namespace larder::bench {

/// The sum of the first words of copied values, to be compared with what the sequence says.
using Marks = std::uint64_t;

inline std::size_t copy_out(std::string_view value, std::vector<char>& buffer, Marks& marks) {
    std::memcpy(buffer.data(), value.data(), value.size());
    benchmark::ClobberMemory();
    std::uint64_t mark = 0;
    std::memcpy(&mark, buffer.data(), sizeof mark);
    marks += mark;
    return value.size();
}

struct Floor {
    const FlatTable& table;
    std::size_t operator()(std::string_view key, Marks&) const {
        const std::string_view value = table.find(key);
        benchmark::DoNotOptimize(value.data());
        return value.size();
    }
};

struct CopiedFloor {
    const FlatTable& table;
    std::vector<char> buffer;
    std::size_t operator()(std::string_view key, Marks& marks) { return copy_out(table.find(key), buffer, marks); }
};

struct PinnedHit {
    Cache& cache;
    std::size_t operator()(std::string_view key, Marks&) const {
        const Pinned pinned = cache.get(key);
        const std::string_view value = pinned.value();
        benchmark::DoNotOptimize(value.data());
        return value.size();
    }
};

struct CopiedHit {
    Cache& cache;
    std::vector<char> buffer;
    std::size_t operator()(std::string_view key, Marks& marks) {
        const Pinned pinned = cache.get(key);
        return copy_out(pinned.value(), buffer, marks);
    }
};

/// As programs ask: the computation is there, but not needed.
struct ComputedHit {
    Cache& cache;
    std::size_t operator()(std::string_view key, Marks&) const {
        const Pinned pinned = cache.get_or_compute(key, [] { return std::optional<std::string>(); });
        const std::string_view value = pinned.value();
        benchmark::DoNotOptimize(value.data());
        return value.size();
    }
};

inline std::size_t mark_out(const std::string& value, Marks& marks) {
    std::uint64_t mark = 0;
    std::memcpy(&mark, value.data(), sizeof mark);
    marks += mark;
    return value.size();
}

struct LockedHit {
    LockedCache& cache;
    std::size_t operator()(std::string_view key, Marks& marks) const {
        const std::optional<std::string> value = cache.get(key);
        return value ? mark_out(*value, marks) : 0;
    }
};

struct LockedHitReusing {
    LockedCache& cache;
    std::string value;
    std::size_t operator()(std::string_view key, Marks& marks) {
        return cache.get(key, value) ? mark_out(value, marks) : 0;
    }
};

/// `sequential`: the next key is known only once the value is, as when a program works with what it has found: the time
/// is that of one lookup. `overlapping`: nothing depends on anything, so that a processor may begin many lookups before
/// the first one ends: the time is that of a share of it.
enum class Pace : std::uint8_t { sequential, overlapping };

/// So many lookups; the marks of what was copied. Throws when one missed or found a value of another size.
template <Pace kPace = Pace::sequential, class Lookup>
Marks walk(const Sequence& order, std::size_t lookups, std::size_t value_bytes, Lookup& lookup) {
    Marks marks = 0;
    std::size_t found = 0;
    for (std::size_t use = 0; use < lookups; ++use) {
        const std::size_t at = kPace == Pace::sequential ? found : use;
        found += lookup(order[at], marks) == value_bytes ? 1 : 0;
    }
    require(found == lookups, "a lookup missed, or found a value of another size");
    return marks;
}

/// Walks the sequence once, or its beginning; nanoseconds per lookup. Throws when a lookup found anything but its own
/// value.
template <Pace kPace = Pace::sequential, class Lookup>
double time_walk(const Sequence& order, std::size_t value_bytes, Lookup& lookup,
                 std::size_t lookups = Sequence::kLength) {
    const std::int64_t started_ns = shm::system::monotonic_ns();
    const Marks marks = walk<kPace>(order, lookups, value_bytes, lookup);
    const std::int64_t ended_ns = shm::system::monotonic_ns();
    require(marks == 0 || marks == order.marks_of(lookups), "a lookup found another key's value");
    return static_cast<double>(ended_ns - started_ns) / static_cast<double>(lookups);
}

}  // namespace larder::bench
