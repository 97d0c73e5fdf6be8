#include "tools/hit_curve.hpp"

#include <algorithm>
#include <bit>

#include "shm/geometry.hpp"
#include "tools/stack_distances.hpp"
#include "tools/trace_file.hpp"
#include "tools/trace_reader.hpp"

namespace larder::tools {
namespace {

constexpr std::uint64_t kReportEvery = 4'096;
constexpr int kKeptBits = 7;  // of a size in bytes: 1/128 too large at most

std::uint64_t rounded_up(std::uint64_t bytes) {
    const int dropped = std::max(0, static_cast<int>(std::bit_width(bytes)) - kKeptBits - 1);
    const std::uint64_t step = std::uint64_t{1} << dropped;
    return (bytes + step - 1) / step * step;
}

void accumulate(std::map<std::uint64_t, std::uint64_t>& steps) {
    std::uint64_t sum = 0;
    for (auto& [size, hits] : steps) hits = sum += hits;
}

}  // namespace

HitCurve HitCurve::of(const std::string& trace, std::uint64_t entry_bytes, std::uint64_t one_in,
                      const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
    const TraceFile file(trace);
    TraceReader reader(file);
    TraceRequest request;
    StackDistances distances;
    HitCurve curve;
    curve.one_in_ = one_in;
    while (reader.next(request)) {
        ++curve.requests_;
        if (progress && curve.requests_ % kReportEvery == 0) progress(reader.bytes_read(), reader.bytes_total());
        // More than fits anywhere is as good as that, and sums do not wrap.
        const std::uint64_t size = std::min(request.size_bytes, shm::kMaxSegmentBytes);
        curve.largest_ = std::max(curve.largest_, size);
        const auto distance = distances.use(request.key, entry_bytes + request.key.size() + size);
        if (!distance) continue;
        ++curve.by_entries_[saturated(distance->entries, one_in)];
        ++curve.by_bytes_[rounded_up(saturated(distance->bytes, one_in))];
    }
    accumulate(curve.by_entries_);
    accumulate(curve.by_bytes_);
    curve.keys_ = saturated(distances.keys(), one_in);
    curve.bytes_ = saturated(distances.bytes(), one_in);
    return curve;
}

/// Far above every size that there is, so that a little may be added.
std::uint64_t HitCurve::saturated(std::uint64_t one, std::uint64_t times) {
    constexpr std::uint64_t kMost = 1ULL << 62;
    return one > kMost / times ? kMost : one * times;
}

double HitCurve::ratio(std::uint64_t hits) const {
    return requests_ == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(requests_);
}

double HitCurve::hit_ratio(Unit unit, std::uint64_t size) const {
    const Steps& sums = steps(unit);
    const auto above = sums.upper_bound(size);
    return above == sums.begin() ? 0.0 : ratio(std::prev(above)->second);
}

std::optional<std::uint64_t> HitCurve::smallest(Unit unit, double hit_ratio) const {
    for (const auto& [size, hits] : steps(unit))
        if (ratio(hits) >= hit_ratio) return size;
    return std::nullopt;
}

}  // namespace larder::tools
