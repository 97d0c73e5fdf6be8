// A word of a command that somebody is told to run.
#pragma once

#include <string>
#include <string_view>

namespace larder {

/// In single quotes where a shell would take it for more than a word.
inline std::string shell_word(std::string_view text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";  // to every shell
    if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) return std::string(text);
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    return word + "'";
}

}  // namespace larder
