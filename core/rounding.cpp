#include "core/rounding.hpp"

#include <cassert>

namespace larder {

std::int64_t round_half_even(int128 numerator, int128 denominator) {
    assert(denominator > 0);
    int128 quotient = numerator / denominator;
    int128 rest = numerator % denominator;
    if (rest < 0) {
        rest += denominator;
        --quotient;
    }
    const int128 twice = 2 * rest;
    const bool up = twice > denominator || (twice == denominator && quotient % 2 != 0);
    return static_cast<std::int64_t>(quotient + (up ? 1 : 0));
}

Hundredths percentage(std::int64_t part, std::int64_t whole) {
    if (whole <= 0) return Hundredths{0};
    return Hundredths{round_half_even(int128{part} * 10'000, whole)};
}

std::string to_text(Hundredths number) {
    const bool negative = number.value < 0;
    const std::int64_t size = negative ? -number.value : number.value;
    const std::int64_t decimals = size % 100;
    std::string text = negative ? "-" : "";
    text += std::to_string(size / 100);
    text += '.';
    text += static_cast<char>('0' + decimals / 10);
    if (decimals % 10 != 0) text += static_cast<char>('0' + decimals % 10);
    return text;
}

}  // namespace larder
