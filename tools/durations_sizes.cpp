#include "tools/durations_sizes.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <utility>

namespace larder::tools {
namespace {

using Unit = std::pair<std::string_view, std::uint64_t>;
constexpr std::array<Unit, 6> kDurationUnits = {
    {{"", 1'000}, {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 6> kSizeUnits = {
    {{"", 1}, {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}}};
constexpr std::uint64_t kMaxDurationMs = 100ULL * 366 * 86'400'000;
constexpr std::uint64_t kMaxSizeBytes = std::numeric_limits<std::int64_t>::max();

template <std::size_t N>
std::uint64_t parse(std::string_view text, const std::array<Unit, N>& units, std::uint64_t limit,
                    const char* accepted) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const auto& [name, factor] : units)
        if (error == std::errc{} && unit == name && number <= limit / factor) return number * factor;
    throw std::invalid_argument(fmt::format("`{}` is not {}", text.substr(0, 64), accepted));
}

}  // namespace

std::chrono::milliseconds parse_duration(std::string_view text) {
    return std::chrono::milliseconds(
        parse(text, kDurationUnits, kMaxDurationMs,
              "a duration: write a whole number with ms, s, m, h or d, such as 300s or 5m (at most 100 years)"));
}

std::uint64_t parse_size(std::string_view text) {
    return parse(text, kSizeUnits, kMaxSizeBytes,
                 "a size: write a whole number, alone for bytes or with KiB, MiB, GiB or TiB, such as 256MiB");
}

std::uint64_t parse_count(std::string_view text) {
    static constexpr std::array<Unit, 1> kNone = {{{"", 1}}};
    return parse(text, kNone, std::numeric_limits<std::int64_t>::max(), "a whole number from 0 on");
}

bool parse_switch(std::string_view text) {
    for (const std::string_view yes : {"1", "true", "yes", "on"})
        if (text == yes) return true;
    for (const std::string_view no : {"0", "false", "no", "off"})
        if (text == no) return false;
    throw std::invalid_argument(fmt::format("`{}` is neither true nor false", text));
}

std::string duration_text(std::chrono::milliseconds duration) {
    const std::int64_t ms = duration.count();
    if (ms < 0)
        return "-" + duration_text(std::chrono::milliseconds(-std::max(ms, -std::numeric_limits<std::int64_t>::max())));
    if (ms < 1'000) return fmt::format("{}ms", ms);
    if (ms < 60'000) return fmt::format("{}.{}s", ms / 1'000, ms % 1'000 / 100);
    if (ms < 3'600'000) return fmt::format("{}m{:02}s", ms / 60'000, ms % 60'000 / 1'000);
    if (ms < 86'400'000) return fmt::format("{}h{:02}m", ms / 3'600'000, ms % 3'600'000 / 60'000);
    return fmt::format("{}d{:02}h", ms / 86'400'000, ms % 86'400'000 / 3'600'000);
}

std::string size_text(std::uint64_t bytes) {
    static constexpr std::array<const char*, 5> kNames = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 10'000) return fmt::format("{}B", bytes);
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
    return fmt::format("{:.1f}{}", value, kNames[unit]);
}

}  // namespace larder::tools
