// Points: what a score and a maximum are made of, exact to four decimal places.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace larder {

/// A decimal number with four places, held as an integer, so that sums and comparisons are exact.
struct Points {
    std::int64_t ten_thousandths = 0;
    friend auto operator<=>(const Points&, const Points&) = default;
};

inline constexpr std::int64_t points_scale = 10'000;
/// Every score and maximum is smaller than this in size: then no sum of squares leaves 128 bits.
inline constexpr std::int64_t points_limit = 1'000'000'000;

/// `-12.3456`: a sign or none, digits, at most four places. nullopt: not such a number, or not below points_limit.
std::optional<Points> parse_points(std::string_view text);

/// The nearest number of four places; nullopt: not finite, or not below points_limit.
std::optional<Points> points_from(double value);

/// The double nearest to the decimal, which points_from turns back into the same Points.
double to_double(Points points);

}  // namespace larder
