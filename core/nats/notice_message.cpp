#include "core/nats/notice_message.hpp"

#include <algorithm>
#include <charconv>

namespace larder::nats {
namespace {

constexpr std::string_view version = "larder/1";
constexpr std::string_view verbs[] = {"changed", "published", "everything", "position", "ask", "looked"};

/// The text up to the next space, which goes with it.
std::string_view take_word(std::string_view& rest) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

/// The numbers of a verb, in their order.
template <class Message, class Visit>
bool visit_numbers(Message& message, Visit visit) {
    using Kind = NoticeMessage::Kind;
    switch (message.kind) {
    case Kind::position:
        return visit(message.position);
    case Kind::ask:
        return visit(message.question);
    case Kind::looked:
        return visit(message.question) && visit(message.sequence) && visit(message.position);
    default:
        return true;
    }
}

template <class Number>
bool take_number(std::string_view& rest, Number& number) {
    const std::string_view word = take_word(rest);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size();
}

}  // namespace

std::string encode(const NoticeMessage& message) {
    std::string line(version);
    line += ' ';
    line += verbs[static_cast<std::size_t>(message.kind)];
    visit_numbers(message, [&](auto number) {
        line += ' ' + std::to_string(number);
        return true;
    });
    for (const AssignmentId id : message.ids) line += ' ' + std::to_string(id);
    if (!message.text.empty()) line += ' ' + message.text;
    return line;
}

std::vector<std::string> encode(NoticeMessage::Kind kind, std::span<const AssignmentId> ids) {
    std::vector<std::string> lines;
    for (; !ids.empty(); ids = ids.subspan(std::min(ids.size(), max_ids_of_message))) {
        const std::span<const AssignmentId> slice = ids.first(std::min(ids.size(), max_ids_of_message));
        lines.push_back(encode({.kind = kind, .ids = {slice.begin(), slice.end()}}));
    }
    return lines;
}

std::optional<NoticeMessage> decode(std::string_view line) {
    using Kind = NoticeMessage::Kind;
    if (take_word(line) != version) return std::nullopt;
    const auto verb = std::find(std::begin(verbs), std::end(verbs), take_word(line));
    if (verb == std::end(verbs)) return std::nullopt;
    NoticeMessage message{.kind = static_cast<Kind>(verb - std::begin(verbs))};
    if (message.kind == Kind::changed || message.kind == Kind::published) {
        while (!line.empty()) {
            AssignmentId id = 0;
            if (message.ids.size() == max_ids_of_message || !take_number(line, id)) return std::nullopt;
            message.ids.push_back(id);
        }
        return message.ids.empty() ? std::nullopt : std::optional(std::move(message));
    }
    if (!visit_numbers(message, [&](auto& number) { return take_number(line, number); })) return std::nullopt;
    message.text = line;
    return message;
}

}  // namespace larder::nats
