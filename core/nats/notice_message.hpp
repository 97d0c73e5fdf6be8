// NoticeMessage: what one message of the notices' stream says, as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/assignment.hpp"

namespace larder::nats {

/// One line: `larder/1`, a verb, and what it is about.
///     larder/1 changed 12 15             these assignments, as of some commit before the message was sent
///     larder/1 published 12
///     larder/1 everything WHY            nothing that was kept may be kept
///     larder/1 position 4711 DATABASE    what is told, up to here, is in the stream before this message
/// Not in the stream, but on the subject of the looks, and as an answer there:
///     larder/1 ask 7                     question 7 of a host
///     larder/1 looked 7 99 4711 STREAM   what was committed at that question is in STREAM up to sequence 99;
///                                        the source stood at 4711
/// A reader that does not know the version or the verb takes the message for `everything`.
struct NoticeMessage {
    enum class Kind : std::uint8_t { changed, published, everything, position, ask, looked } kind = Kind::everything;
    std::vector<AssignmentId> ids{};
    std::uint64_t question = 0, sequence = 0;
    std::int64_t position = 0;
    std::string text{};  ///< why, the database, or the stream
};

inline constexpr std::size_t max_ids_of_message = 2'000;  ///< 40 kB of text

/// REQUIRES: `text` has no line break.
std::string encode(const NoticeMessage& message);
/// Of ids that are many: a message for each `max_ids_of_message`.
std::vector<std::string> encode(NoticeMessage::Kind kind, std::span<const AssignmentId> ids);
/// nullopt: it cannot be read.
std::optional<NoticeMessage> decode(std::string_view line);

}  // namespace larder::nats
