// Rounding: the numbers of a document, two decimals, halves to even on the exact value.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace larder {

__extension__ typedef __int128 int128;

/// A number rounded to two decimals.
struct Hundredths {
    std::int64_t value = 0;
    friend auto operator<=>(const Hundredths&, const Hundredths&) = default;
};

/// The integer nearest to numerator / denominator, halves to even. REQUIRES: denominator > 0.
std::int64_t round_half_even(int128 numerator, int128 denominator);

/// 100 * part / whole as a percentage of two decimals; 0.0 when whole is 0.
Hundredths percentage(std::int64_t part, std::int64_t whole);

/// As a JSON number: at least one decimal, at most two (`84.0`, `-0.25`).
std::string to_text(Hundredths number);

}  // namespace larder
