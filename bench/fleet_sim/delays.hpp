// Delays: how many were how long. Cells 1/16 of an octave apart, from a microsecond on, so that a quantile is at most 5
// % too high.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace larder::bench::sim {

class Delays {
public:
    static constexpr std::size_t cells = 16 * 32;

    void add(double delay_s) { add(delay_s, 1); }
    /// first_s, first_s + step_s, ...: so many of them. Costs a cell each, not a delay each.
    void add_row(double first_s, double step_s, std::uint64_t count) {
        for (std::uint64_t done = 0; done < count;) {
            const double delay_s = first_s + step_s * static_cast<double>(done);
            const double room = step_s > 0 ? (end_of(cell_of(delay_s)) - delay_s) / step_s : static_cast<double>(count);
            const double fitting = std::min(std::floor(room) + 1, static_cast<double>(count - done));
            const auto together = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(fitting));
            add(delay_s, together);
            done += together;
        }
        if (count != 0) longest_s_ = std::max(longest_s_, first_s + step_s * static_cast<double>(count - 1));
    }
    void add_all(const Delays& others) {
        for (std::size_t cell = 0; cell < cells; ++cell) counts_[cell] += others.counts_[cell];
        count_ += others.count_;
        longest_s_ = std::max(longest_s_, others.longest_s_);
    }

    std::uint64_t count() const { return count_; }
    double longest_s() const { return longest_s_; }
    /// The upper end of the cell under which this share lies; 0: there are none.
    double quantile_s(double share) const {
        const double wanted = share * static_cast<double>(count_);
        double seen = 0;
        for (std::size_t cell = 0; cell < cells; ++cell) {
            seen += static_cast<double>(counts_[cell]);
            if (seen > 0 && seen >= wanted) return std::min(upper_end_s(cell), longest_s_);
        }
        return 0;
    }
    std::uint64_t count(std::size_t cell) const { return counts_[cell]; }
    static double upper_end_s(std::size_t cell) { return end_of(cell); }

private:
    static constexpr double smallest_s = 1e-6;

    void add(double delay_s, std::uint64_t count) {
        counts_[cell_of(delay_s)] += count;
        count_ += count;
        longest_s_ = std::max(longest_s_, delay_s);
    }
    static std::size_t cell_of(double delay_s) {
        if (delay_s <= smallest_s) return 0;
        return std::min(cells - 1, static_cast<std::size_t>(std::log2(delay_s / smallest_s) * 16));
    }
    static double end_of(std::size_t cell) { return smallest_s * std::exp2(static_cast<double>(cell + 1) / 16); }

    std::array<std::uint64_t, cells> counts_{};
    std::uint64_t count_ = 0;
    double longest_s_ = 0;
};

}  // namespace larder::bench::sim
