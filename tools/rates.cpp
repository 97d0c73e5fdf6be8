#include "tools/rates.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "shm/elapsed.hpp"

namespace larder::tools {

using std::chrono::steady_clock;

Sample take_sample(const shm::SegmentView& view) {
    return {steady_clock::now(), view.header().incarnation, shm::read_totals(view), shm::read_gauges(view)};
}

Sample birth_sample(const shm::SegmentView& view, std::int64_t now_ns) {
    Sample birth;
    const std::int64_t age_ns = std::max<std::int64_t>(0, shm::elapsed_ns(view.header().created_ns, now_ns));
    birth.at = steady_clock::now() - std::chrono::nanoseconds(age_ns);
    birth.incarnation = view.header().incarnation;
    return birth;
}

Rates::Rates(const Sample& from, const Sample& to) {
    const double seconds = std::chrono::duration<double>(to.at - from.at).count();
    if (from.incarnation != to.incarnation || seconds <= 0) return;
    const auto rate = [seconds](std::uint64_t before, std::uint64_t after) {
        return after < before ? 0.0 : static_cast<double>(after - before) / seconds;
    };
    for (std::uint32_t i = 0; i < shm::kCounters; ++i) of_[i] = rate(from.totals.values[i], to.totals.values[i]);
    misses_ = rate(from.totals.misses(), to.totals.misses());
}

std::optional<double> Rates::hit_percentage() const {
    if (lookups() == 0) return std::nullopt;
    return 100 * (*this)[shm::Counter::hits] / lookups();
}

namespace {

std::string whole_text(double number, std::size_t width) {
    std::string text = fmt::format("{:.0f}", number);
    for (const char unit : {'k', 'M', 'G', 'T'}) {
        if (text.size() <= width) break;
        number /= 1'000;
        text = fmt::format("{:.{}f}{}", number, number < 9.95 ? 1 : 0, unit);
    }
    return text;
}

}  // namespace

std::string rate_text(double rate, std::size_t width) {
    return rate > 0 && rate < 9.95 ? fmt::format("{:.1f}", rate) : whole_text(rate, width);
}

std::string count_text(std::uint64_t count, std::size_t width) { return whole_text(static_cast<double>(count), width); }

}  // namespace larder::tools
