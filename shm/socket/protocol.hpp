// The socket's language: a line of text in, a line of text out (pure functions, no input or output here).
//
//     LINE = VERB *(SP ARG) LF       CRLF is taken too; in ARG every byte <= 0x20, 0x7f and `%` is written %XX
//     ok [N] notice=M | ok | ok {json} | error REASON
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::shm {

inline constexpr std::size_t kMaxLineBytes = 64 << 10;  // of a request, without its line end

enum class Verb : std::uint8_t { invalidate, invalidate_tag, invalidate_namespace, invalidate_all, ping, stat };
std::string_view name_of(Verb verb);

/// A request that may be applied as it is: the number and the lengths of its arguments have been checked.
struct Request {
    Verb verb = Verb::ping;
    std::vector<std::string> args;  ///< decoded: any bytes
};

/// One of the two is there.
struct ParsedLine {
    std::optional<Request> request;
    std::string error;  ///< one sentence, printable
};

/// `line` comes without its LF; one CR at its end is dropped. Spaces in a row count as one.
ParsedLine parse_request(std::string_view line);

std::string encode_argument(std::string_view bytes);
/// Nothing where the text is not what encode_argument could have meant: a bare control byte, a `%` without two hex
/// digits.
std::optional<std::string> decode_argument(std::string_view text);

/// What may be sent, without LF. REQUIRES: arguments that parse_request accepts.
std::string request_line(Verb verb, std::span<const std::string_view> args);
/// The text of `error`, or nothing where the arguments may be sent.
std::string refusal_of(Verb verb, std::span<const std::string_view> args);

// Answers, with their LF. Whatever the arguments hold, an answer is one line.
std::string ok_answer();
std::string ok_answer(std::uint64_t notice);
std::string ok_answer(std::size_t keys, std::uint64_t notice);
std::string ok_answer(std::string_view json);
std::string error_answer(std::string_view reason);

struct Answer {
    bool ok = false;
    std::uint64_t notice = 0;  ///< 0: the answer names none
    std::string text;          ///< what follows `ok` or `error`
};
/// How the answer begins that a client gets when all places are taken: it may try again.
inline constexpr std::string_view kFullReason = "too many clients";
/// `line` comes without its LF. Nothing: not an answer of this protocol.
std::optional<Answer> parse_answer(std::string_view line);

}  // namespace larder::shm
