#include "tools/display_text.hpp"

#include <fmt/format.h>
#include <locale.h>
#include <wchar.h>

#include <boost/locale/utf.hpp>

#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

namespace utf = boost::locale::utf;

/// Takes columns, and nothing is seen there: the soft hyphen, and what fills places of letters.
constexpr bool is_unseen(utf::code_point point) {
    return point == 0xAD || point == 0x115F || point == 0x2800 || point == 0x3164 || point == 0xFFA0;
}

/// As the C library has it for UTF-8, in whatever locale the program is. 0 or below: not to be shown.
int width_of(utf::code_point point) {
    static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (point < 0x80) return point >= 0x20 && point != 0x7F ? 1 : 0;
    if (unicode == nullptr || is_unseen(point)) return 0;
    const locale_t before = ::uselocale(unicode);
    const int width = ::wcwidth(static_cast<wchar_t>(point));
    ::uselocale(before);
    return width;
}

/// Calls use(character, width) for each, until it returns false.
template <class Use>
void for_each_character(std::string_view text, Use&& use) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        const char* const begin = at;
        const utf::code_point point = utf::utf_traits<char>::decode(at, end);
        const bool is_none = point == utf::illegal || point == utf::incomplete;
        if (is_none) at = begin + 1;
        if (!use(std::string_view(begin, static_cast<std::size_t>(at - begin)), is_none ? 1 : width_of(point), point))
            return;
    }
}

}  // namespace

std::string displayable(std::string_view text, std::size_t most_columns, Alphabet alphabet) {
    // Each code point takes one column or more by then.
    const std::string safe = escaped(text, most_columns + 1);
    std::string out;
    for_each_character(safe, [&](std::string_view character, int width, utf::code_point point) {
        if (width > 0 && (alphabet == Alphabet::utf8 || point < 0x80))
            out += character;
        else
            out += fmt::format("\\u{{{:04x}}}", point);
        return true;
    });
    return out;
}

std::size_t columns_of(std::string_view text) {
    std::size_t columns = 0;
    for_each_character(text, [&](std::string_view, int width, utf::code_point) {
        columns += static_cast<std::size_t>(width);
        return true;
    });
    return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
    if (columns_of(text) <= columns) return std::string(text);
    if (columns == 0) return {};
    std::string out;
    std::size_t used = 0;
    for_each_character(text, [&](std::string_view character, int width, utf::code_point) {
        used += static_cast<std::size_t>(width);
        if (used >= columns) return false;
        out += character;
        return true;
    });
    return out + "~";
}

std::string cut_left(std::string_view text, std::size_t columns) {
    std::string out = cut(text, columns);
    return out + std::string(columns - columns_of(out), ' ');
}

std::string cut_right(std::string_view text, std::size_t columns) {
    const std::string out = cut(text, columns);
    return std::string(columns - columns_of(out), ' ') + out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns, std::size_t most_lines) {
    std::vector<std::string> lines;
    std::string line;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        if (!line.empty() && columns_of(line) + 1 + columns_of(word) > columns) {
            if (lines.size() + 1 == most_lines) {  // the rest is too much
                lines.push_back(cut(line + " " + std::string(text), columns));
                return lines;
            }
            lines.push_back(cut(line, columns));
            line.clear();
        }
        line += (line.empty() ? "" : " ") + std::string(word);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    lines.push_back(cut(line, columns));
    return lines;
}

}  // namespace larder::tools
