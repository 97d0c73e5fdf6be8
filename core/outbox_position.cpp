#include "core/outbox_position.hpp"

#include <charconv>

namespace larder {

std::optional<OutboxPosition> OutboxPosition::parse(std::string_view text) {
    OutboxPosition position;
    const char* const all = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), all, position.seq);
    if (error != std::errc{} || end == all || *end != '@') return std::nullopt;
    position.database.assign(end + 1, all);
    return position;
}

}  // namespace larder
