#include "core/points.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace larder {
namespace {

constexpr std::size_t max_places = 4;

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::int64_t> to_integer(std::string_view digits) {
    std::int64_t value = 0;
    if (digits.empty()) return value;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<Points> parse_points(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view places = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    if (whole.empty() && places.empty()) return std::nullopt;
    if (!all_digits(whole) || !all_digits(places) || places.size() > max_places) return std::nullopt;

    const auto units = to_integer(whole);
    const auto fraction = to_integer(places);
    if (!units || !fraction || *units >= points_limit) return std::nullopt;
    std::int64_t scaled = *fraction;
    for (std::size_t place = places.size(); place < max_places; ++place) scaled *= 10;
    scaled += *units * points_scale;
    return Points{negative ? -scaled : scaled};
}

std::optional<Points> points_from(double value) {
    if (!std::isfinite(value) || std::abs(value) >= static_cast<double>(points_limit)) return std::nullopt;
    return Points{std::llround(value * static_cast<double>(points_scale))};
}

double to_double(Points points) {
    return static_cast<double>(points.ten_thousandths) / static_cast<double>(points_scale);
}

}  // namespace larder
