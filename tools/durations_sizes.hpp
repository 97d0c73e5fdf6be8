// Durations and sizes as people write them: `300`, `300s`, `500ms`, `5m`, `1h`, `7d`; `4096`, `64KiB`, `256MiB`,
// `1GiB`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::tools {

/// A number without a unit counts seconds. Throws std::invalid_argument, which says what is accepted, on anything but a
/// whole number from 0 to 100 years with one of the units ms, s, m, h, d.
std::chrono::milliseconds parse_duration(std::string_view text);

/// A number without a unit counts bytes. Throws std::invalid_argument on anything but a whole number below 2^63 bytes
/// with one of the units B, KiB, MiB, GiB, TiB.
std::uint64_t parse_size(std::string_view text);

/// Decimal digits only. Throws std::invalid_argument.
std::uint64_t parse_count(std::string_view text);

/// `true`, `yes`, `on`, `1`, or their contraries. Throws std::invalid_argument.
bool parse_switch(std::string_view text);

/// `250ms`, `4.2s`, `3m10s`, `2h05m`, `7d03h`: two units at most.
std::string duration_text(std::chrono::milliseconds duration);

/// `4096B`, `64.0KiB`, `1.5GiB`.
std::string size_text(std::uint64_t bytes);

}  // namespace larder::tools
