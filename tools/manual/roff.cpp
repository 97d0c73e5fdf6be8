#include "tools/manual/roff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace larder::tools::manual {
namespace {

constexpr std::size_t longest_line = 78;

std::string in_capitals(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return result;
}

// A line must not begin with a control character of roff.
std::string guarded(std::string line) {
    if (!line.empty() && (line.front() == '.' || line.front() == '\'')) line.insert(0, "\\&");
    return line;
}

// A word of prose; a dash in front of it makes it an option, which people copy.
std::string prose_word(std::string_view word) {
    const bool is_option = word.size() > 1 && word.find_first_not_of("([`") != std::string_view::npos &&
                           word[word.find_first_not_of("([`")] == '-';
    return is_option ? roff_typed(word) : roff_escaped(word);
}

// `typed` becomes bold; a lone backquote stays one.
std::string inline_roff(std::string_view text) {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text[at] == '`' ? text.find('`', at + 1) : std::string_view::npos;
        if (end != std::string_view::npos) {
            result += "\\fB" + roff_typed(text.substr(at + 1, end - at - 1)) + "\\fR";
            at = end + 1;
            continue;
        }
        const std::size_t next = std::min(text.find_first_of(" `", at + 1), text.size());
        result += prose_word(text.substr(at, next - at));
        at = next;
        while (at < text.size() && text[at] == ' ') result += text[at++];
    }
    return result;
}

bool ends_sentence(std::string_view word) {
    return word.size() > 1 && (word.back() == '.' || word.back() == '?' || word.back() == '!');
}

}  // namespace

std::string roff_escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\\')
            result += "\\e";
        else
            result += c;
    }
    return guarded(std::move(result));
}

std::string roff_typed(std::string_view text) {
    std::string result;
    for (const char c : text) switch (c) {
        case '\\':
            result += "\\e";
            break;
        case '-':
            result += "\\-";
            break;
        case '\'':
            result += "\\(aq";
            break;
        case '`':
            result += "\\(ga";
            break;
        case '^':
            result += "\\(ha";
            break;
        case '~':
            result += "\\(ti";
            break;
        default:
            result += c;
        }
    return guarded(std::move(result));
}

Roff::Roff(std::string_view page, std::string_view summary, std::string_view date, std::string_view version) {
    line(fmt::format(".TH {} 1 {} \"Larder {}\" \"Larder\"", roff_typed(in_capitals(page)), date, version));
    line(".nh");    // what people copy is not hyphenated,
    line(".ad l");  // nor spaced out
    section("NAME");
    std::string plain(summary);
    plain.erase(std::remove(plain.begin(), plain.end(), '`'), plain.end());
    line(fmt::format("{} \\-", roff_typed(page)));
    fill(plain);
}

void Roff::section(std::string_view title) { begin(".SH ", title); }
void Roff::subsection(std::string_view title) { begin(".SS ", title); }

void Roff::begin(std::string_view macro, std::string_view title) {
    line(fmt::format("{}{}", macro, title));
    is_section_begun_ = true;
}

void Roff::line(std::string_view roff) {
    text_.append(roff).push_back('\n');
    is_section_begun_ = false;
}

// Each sentence begins a line, as is usual in sources of man pages, and no line is long.
void Roff::fill(std::string_view text) {
    const std::string roff = inline_roff(text);
    std::string current;
    const auto flush = [this, &current] {
        if (!current.empty()) line(guarded(current));
        current.clear();
    };
    for (std::size_t at = 0; at < roff.size();) {
        const std::size_t end = std::min(roff.find(' ', at), roff.size());
        const std::string word = roff.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        if (!current.empty() && current.size() + 1 + word.size() > longest_line) flush();
        current += current.empty() ? word : " " + word;
        if (ends_sentence(word)) flush();
    }
    flush();
}

void Roff::paragraph(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find("\n\n", at), text.size());
        std::string one(text.substr(at, end - at));
        std::replace(one.begin(), one.end(), '\n', ' ');
        if (!is_section_begun_) line(".PP");  // right below its title a paragraph needs no break
        fill(one);
        at = end + 2;
    }
}

void Roff::item(std::string_view roff_heading, std::string_view text) {
    line(".TP");
    line(roff_heading);
    fill(text);
}

void Roff::typed_block(std::string_view lines) {
    if (!is_section_begun_) line(".PP");
    line(".RS 4");
    line(".EX");
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t end = std::min(lines.find('\n', at), lines.size());
        line(roff_typed(lines.substr(at, end - at)));
        at = end + 1;
    }
    line(".EE");
    line(".RE");
}

}  // namespace larder::tools::manual
