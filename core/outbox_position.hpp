// OutboxPosition: how far a cache has been told of a database's changes, and the entry of the cache that says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder {

/// Every row of that database's outbox up to `seq`.
struct OutboxPosition {
    std::int64_t seq = 0;
    std::string database;  ///< the file itself, not its path: another one begins at 0
    friend bool operator==(const OutboxPosition&, const OutboxPosition&) = default;

    std::string text() const { return std::to_string(seq) + "@" + database; }
    /// nullopt: `text` is none.
    static std::optional<OutboxPosition> parse(std::string_view text);
};

/// The key under which a cache keeps its own.
inline constexpr std::string_view position_key = "outbox_relay:position";

}  // namespace larder
