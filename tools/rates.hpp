// Rates: what happened in a cache a second, between two looks at its totals.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "shm/counters.hpp"
#include "shm/inspector.hpp"
#include "shm/layout.hpp"

namespace larder::tools {

/// All totals at one moment.
struct Sample {
    std::chrono::steady_clock::time_point at;
    std::uint64_t incarnation = 0;
    shm::CounterTotals totals;
    shm::Gauges gauges;
};
Sample take_sample(const shm::SegmentView& view);

/// The zeros of when the segment was made: from it on, rates are means of all its life. `now_ns`: of the segment's
/// clock.
Sample birth_sample(const shm::SegmentView& view, std::int64_t now_ns);

/// A second, between two samples; zeros when the segment is another one.
class Rates {
public:
    Rates() = default;
    Rates(const Sample& from, const Sample& to);

    double operator[](shm::Counter counter) const { return of_[static_cast<std::uint32_t>(counter)]; }
    double misses() const { return misses_; }
    double lookups() const { return (*this)[shm::Counter::hits] + misses_; }
    /// Of all lookups, in percent; nullopt while there are none.
    std::optional<double> hit_percentage() const;

private:
    std::array<double, shm::kCounters> of_{};
    double misses_ = 0;
};

/// In at most `width` (>= 4) columns, up to 999G: `0`, `3.2`, `1234567`; where that is too wide `1.2M`, `12M`.
std::string rate_text(double rate, std::size_t width);
/// The same of a whole number.
std::string count_text(std::uint64_t count, std::size_t width);

}  // namespace larder::tools
