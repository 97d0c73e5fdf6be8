// Times in a fixed array, the HDR layout (Tene, HdrHistogram): below 32 ns a cell a nanosecond, above it 16 cells to
// each power of two, so that a quantile is at most 1/16 too high, from nanoseconds to hours.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace larder {

/// One thread adds; any thread or process that shares its memory reads meanwhile, and sees each time once. Zero is
/// empty.
class LatencyHistogram {
public:
    void add(std::uint64_t ns) {
        std::atomic<std::uint64_t>& cell = cells_[cell_of(ns)];
        cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    /// All that was added to `other`, too.
    void add(const LatencyHistogram& other) {
        for (std::size_t cell = 0; cell < kCells; ++cell) cells_[cell] += other.count(cell);
    }
    /// What was added since `earlier`, a copy of this one.
    LatencyHistogram since(const LatencyHistogram& earlier) const {
        LatencyHistogram difference;
        for (std::size_t cell = 0; cell < kCells; ++cell) difference.cells_[cell] = count(cell) - earlier.count(cell);
        return difference;
    }
    std::uint64_t count() const {
        std::uint64_t all = 0;
        for (std::size_t cell = 0; cell < kCells; ++cell) all += count(cell);
        return all;
    }
    /// The upper end of the cell under which at least this share (0..1) of all times lie, in ns; 0: there are none.
    std::uint64_t quantile(double share) const {
        const auto wanted = static_cast<double>(count()) * share;
        std::uint64_t seen = 0;
        for (std::size_t cell = 0; cell < kCells; ++cell) {
            seen += count(cell);
            if (seen != 0 && static_cast<double>(seen) >= wanted) return end_of(cell);
        }
        return 0;
    }

    LatencyHistogram() = default;
    LatencyHistogram(const LatencyHistogram& other) { *this = other; }
    LatencyHistogram& operator=(const LatencyHistogram& other) {
        for (std::size_t cell = 0; cell < kCells; ++cell)
            cells_[cell].store(other.count(cell), std::memory_order_relaxed);
        return *this;
    }

private:
    static constexpr std::size_t kSteps = 16;  // to a power of two
    static constexpr std::size_t kOctaves = 40;
    static constexpr std::size_t kCells = (kOctaves + 2) * kSteps;

    static std::size_t cell_of(std::uint64_t ns) {
        if (ns < 2 * kSteps) return ns;
        const auto octave = static_cast<std::size_t>(std::bit_width(ns)) - 5;  // ns >> octave is in [16, 32)
        const std::size_t cell = octave * kSteps + (ns >> octave);
        return cell < kCells ? cell : kCells - 1;
    }
    static std::uint64_t end_of(std::size_t cell) {
        if (cell < 2 * kSteps) return cell;
        const std::size_t octave = cell / kSteps - 1;
        return ((cell % kSteps + kSteps + 1) << octave) - 1;
    }
    std::uint64_t count(std::size_t cell) const { return cells_[cell].load(std::memory_order_relaxed); }

    std::array<std::atomic<std::uint64_t>, kCells> cells_{};
};

}  // namespace larder
