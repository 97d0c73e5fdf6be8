// Timestamp: a moment in UTC, and its ISO 8601 text.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace larder {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// `2013-10-20T23:59:59Z`, with up to nine digits of a second's fraction (those past the sixth are dropped); also a
/// blank for the T, `+01:00` for the Z, and nothing for it, which means UTC. nullopt: not such a text, or no such day.
std::optional<Timestamp> parse_timestamp(std::string_view text);

/// The form that an import takes: parse_timestamp takes it, and it has its T and its Z.
bool is_utc_timestamp(std::string_view text);

/// `2013-10-20T23:59:59.125Z`: UTC, milliseconds.
std::string to_iso8601(Timestamp time);

}  // namespace larder
