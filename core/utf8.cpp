#include "core/utf8.hpp"

#include <cstddef>

namespace larder {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
}

bool in_range(unsigned byte, unsigned low, unsigned high) { return byte >= low && byte <= high; }

bool is_continuation(unsigned byte) { return in_range(byte, 0x80, 0xBF); }

/// Length of the well-formed character at the front (the table of RFC 3629, section 4); 0: there is none.
std::size_t character_length(std::string_view text) {
    const unsigned first = byte_at(text, 0);
    const unsigned second = byte_at(text, 1);
    if (first < 0x80) return 1;
    if (in_range(first, 0xC2, 0xDF)) return is_continuation(second) ? 2 : 0;
    if (in_range(first, 0xE0, 0xEF)) {
        const bool fits = in_range(second, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
        return fits && is_continuation(byte_at(text, 2)) ? 3 : 0;
    }
    if (in_range(first, 0xF0, 0xF4)) {
        const bool fits = in_range(second, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
        return fits && is_continuation(byte_at(text, 2)) && is_continuation(byte_at(text, 3)) ? 4 : 0;
    }
    return 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string to_utf8(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        if (length == 0)
            result += "\xEF\xBF\xBD";
        else
            result += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return result;
}

}  // namespace larder
