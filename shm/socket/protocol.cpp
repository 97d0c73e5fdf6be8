#include "shm/socket/protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "shm/layout.hpp"

namespace larder::shm {
namespace {

enum class Arity : std::uint8_t { none, one, some };

struct VerbRow {
    Verb verb;
    std::string_view name;
    Arity arity;
    std::string_view noun;  // of an argument
    std::size_t max_bytes;  // of an argument
};

constexpr std::array<VerbRow, 6> kVerbs{{
    {Verb::invalidate, "invalidate", Arity::some, "key", kMaxKeyBytes},
    {Verb::invalidate_tag, "invalidate-tag", Arity::one, "tag", kMaxTagBytes},
    {Verb::invalidate_namespace, "invalidate-namespace", Arity::one, "namespace", kMaxKeyBytes},
    {Verb::invalidate_all, "invalidate-all", Arity::none, "", 0},
    {Verb::ping, "ping", Arity::none, "", 0},
    {Verb::stat, "stat", Arity::none, "", 0},
}};

constexpr std::size_t kMaxQuotedBytes = 40;  // of what an error repeats of the line

const VerbRow& row_of(Verb verb) { return kVerbs[static_cast<std::size_t>(verb)]; }

const VerbRow* find_verb(std::string_view name) {
    const auto* found =
        std::find_if(kVerbs.begin(), kVerbs.end(), [name](const VerbRow& row) { return row.name == name; });
    return found == kVerbs.end() ? nullptr : found;
}

bool must_be_encoded(char byte) {
    const auto value = static_cast<unsigned char>(byte);
    return value <= 0x20 || value == 0x7f || byte == '%';
}

std::string encoded(char byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const auto value = static_cast<unsigned char>(byte);
    return {'%', kDigits[value >> 4], kDigits[value & 15]};
}

std::optional<unsigned> hex_value(std::string_view digits) {
    unsigned value = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::string quoted(std::string_view text) {
    const bool cut = text.size() > kMaxQuotedBytes;
    return "`" + encode_argument(text.substr(0, kMaxQuotedBytes)) + (cut ? "...`" : "`");
}

ParsedLine refused(std::string reason) { return {std::nullopt, std::move(reason)}; }

std::string_view next_word(std::string_view& rest) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    return word;
}

std::string wrong_number(const VerbRow& row) {
    const std::string name(row.name);
    const std::string noun(row.noun);
    if (row.arity == Arity::none) return name + " takes no arguments";
    if (row.arity == Arity::one) return name + " takes exactly one " + noun + ": " + name + " NAME";
    return name + " needs at least one " + noun + ": " + name + " KEY...";
}

bool number_fits(Arity arity, std::size_t number) {
    if (arity == Arity::none) return number == 0;
    return arity == Arity::one ? number == 1 : number >= 1;
}

std::string wrong_argument(const VerbRow& row, std::string_view arg) {
    if (arg.empty() || arg.size() > row.max_bytes)
        return "a " + std::string(row.noun) + " has 1 to " + std::to_string(row.max_bytes) + " bytes, not " +
               std::to_string(arg.size());
    if (row.verb == Verb::invalidate_namespace && arg.find(':') != std::string_view::npos)
        return "a namespace is the text of a key before its first `:`, so that " + quoted(arg) + " names no key";
    return {};
}

std::optional<std::uint64_t> notice_in(std::string_view text) {
    constexpr std::string_view kLabel = "notice=";
    const std::size_t at = text.find(kLabel);
    if (at == std::string_view::npos || (at != 0 && text[at - 1] != ' ')) return std::nullopt;
    const std::string_view digits = text.substr(at + kLabel.size());
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return number;
}

// A line break between JSON tokens is white space; within strings JSON allows none.
std::string on_one_line(std::string_view text) {
    std::string line(text);
    std::replace_if(
        line.begin(), line.end(), [](char byte) { return byte == '\n' || byte == '\r'; }, ' ');
    return line;
}

}  // namespace

std::string_view name_of(Verb verb) { return row_of(verb).name; }

std::string encode_argument(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (const char byte : bytes) {
        if (must_be_encoded(byte)) {
            text += encoded(byte);
        } else {
            text += byte;
        }
    }
    return text;
}

std::optional<std::string> decode_argument(std::string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!must_be_encoded(text[at])) {
            bytes += text[at];
            continue;
        }
        const std::optional<unsigned> value = text[at] == '%' ? hex_value(text.substr(at + 1, 2)) : std::nullopt;
        if (!value) return std::nullopt;
        bytes += static_cast<char>(*value);
        at += 2;
    }
    return bytes;
}

std::string refusal_of(Verb verb, std::span<const std::string_view> args) {
    const VerbRow& row = row_of(verb);
    if (!number_fits(row.arity, args.size())) return wrong_number(row);
    for (const std::string_view arg : args)
        if (std::string wrong = wrong_argument(row, arg); !wrong.empty()) return wrong;
    return {};
}

ParsedLine parse_request(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::string_view verb = next_word(line);
    if (verb.empty()) return refused("an empty line; send VERB ARG..., for example: invalidate KEY");
    const VerbRow* row = find_verb(verb);
    if (row == nullptr)
        return refused("unknown verb " + quoted(verb) +
                       "; there are invalidate, invalidate-tag, invalidate-namespace, invalidate-all, ping and stat");
    Request request{row->verb, {}};
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        std::optional<std::string> arg = decode_argument(word);
        if (!arg) return refused("cannot read " + quoted(word) + "; write bytes up to 0x20, 0x7f and % as %XX");
        request.args.push_back(std::move(*arg));
    }
    const std::vector<std::string_view> args(request.args.begin(), request.args.end());
    if (std::string wrong = refusal_of(row->verb, args); !wrong.empty()) return refused(std::move(wrong));
    return {std::move(request), {}};
}

std::string request_line(Verb verb, std::span<const std::string_view> args) {
    std::string line(name_of(verb));
    for (const std::string_view arg : args) line += ' ' + encode_argument(arg);
    return line;
}

std::string ok_answer() { return "ok\n"; }
std::string ok_answer(std::uint64_t notice) { return "ok notice=" + std::to_string(notice) + '\n'; }
std::string ok_answer(std::size_t keys, std::uint64_t notice) {
    return "ok " + std::to_string(keys) + " notice=" + std::to_string(notice) + '\n';
}
std::string ok_answer(std::string_view json) { return "ok " + on_one_line(json) + '\n'; }
std::string error_answer(std::string_view reason) { return "error " + on_one_line(reason) + '\n'; }

std::optional<Answer> parse_answer(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::string_view word = line.substr(0, line.find(' '));
    if (word != "ok" && word != "error") return std::nullopt;
    line.remove_prefix(std::min(word.size() + 1, line.size()));
    Answer answer{word == "ok", 0, std::string(line)};
    if (answer.ok) answer.notice = notice_in(line).value_or(0);
    return answer;
}

}  // namespace larder::shm
