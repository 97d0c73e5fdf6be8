#include "tools/json_lines.hpp"

#include <fmt/format.h>

#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/utf8.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

namespace json = boost::json;

/// boost::json escapes what JSON demands; some terminals act on DEL and C1 controls, too.
void append_string(std::string& out, const json::string& text) {
    const std::string quoted = json::serialize(text);
    for (std::size_t i = 0; i < quoted.size(); ++i) {
        const auto byte = static_cast<unsigned char>(quoted[i]);
        const auto next = i + 1 < quoted.size() ? static_cast<unsigned char>(quoted[i + 1]) : 0;
        if (byte == 0x7F)
            out += "\\u007f";
        else if (byte == 0xC2 && next < 0xA0)
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(quoted[++i]));
        else
            out += quoted[i];
    }
}

/// As boost::json::serialize, but with decimal numbers as people write them (0.25, where that writes 2.5E-1).
void append(std::string& out, const json::value& value) {
    const char* separator = "";
    if (const json::object* const object = value.if_object()) {
        out += '{';
        for (const auto& [name, member] : *object) {
            out += std::exchange(separator, ",");
            append_string(out, json::string(name));
            out += ':';
            append(out, member);
        }
        out += '}';
    } else if (const json::array* const array = value.if_array()) {
        out += '[';
        for (const json::value& element : *array) {
            out += std::exchange(separator, ",");
            append(out, element);
        }
        out += ']';
    } else if (const json::string* const text = value.if_string()) {
        append_string(out, *text);
    } else if (const double* const number = value.if_double()) {
        out += fmt::format("{}", *number);
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

std::string base64(std::string_view bytes) {
    using namespace boost::archive::iterators;
    using Encoded = base64_from_binary<transform_width<std::string_view::const_iterator, 6, 8>>;
    std::string text(Encoded(bytes.begin()), Encoded(bytes.end()));
    text.append((4 - text.size() % 4) % 4, '=');
    return text;
}

void put_text(json::object& object, std::string_view name, std::string_view bytes) {
    if (is_utf8(bytes))
        object[name] = bytes;
    else
        object[fmt::format("{}_base64", name)] = base64(bytes);
}

std::string json_text(const json::value& value) {
    std::string out;
    append(out, value);
    return out;
}

void print_json(const json::value& value) { print(json_text(value) + "\n"); }

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw Refusal(kFailure, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

}  // namespace larder::tools
