#include "core/sql_tokens.hpp"

#include <algorithm>

namespace larder {
namespace {

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool is_blank(char c) { return std::string_view(" \t\n\f\r").find(c) != std::string_view::npos; }

/// What closes the quotes that `c` opens; 0: it opens none.
char closing_quote(char c) {
    if (c == '[') return ']';
    return c == '"' || c == '\'' || c == '`' ? c : '\0';
}

/// Without its quotes, of which two stand for one within them.
std::string unquoted(std::string_view token) {
    const char quote = closing_quote(token.front());
    if (quote == '\0' || token.size() < 2) return std::string(token);
    std::string text;
    for (std::size_t i = 1; i + 1 < token.size(); ++i) {
        text += token[i];
        if (token[i] == quote) ++i;
    }
    return text;
}

}  // namespace

std::string sql_lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::size_t sql_token_length(std::string_view sql) {
    const auto behind = [sql](std::size_t at, std::size_t length) {
        return std::min(at, sql.size() - length) + length;
    };
    if (sql.starts_with("--")) return std::min(sql.find('\n'), sql.size());
    if (sql.starts_with("/*")) return behind(sql.find("*/", 2), 2);
    if (const char quote = closing_quote(sql.front()); quote != '\0') {
        std::size_t end = sql.find(quote, 1);
        while (end < sql.size() - 1 && sql[end + 1] == quote && quote != ']') end = sql.find(quote, end + 2);
        return behind(end, 1);
    }
    const auto end = std::find_if_not(sql.begin(), sql.end(), is_word);
    return end == sql.begin() ? 1 : static_cast<std::size_t>(end - sql.begin());
}

std::vector<std::string> sql_tokens(std::string_view sql) {
    std::vector<std::string> tokens;
    while (!sql.empty()) {
        const std::string_view token = sql.substr(0, sql_token_length(sql));
        sql.remove_prefix(token.size());
        if (is_blank(token.front()) || token.starts_with("--") || token.starts_with("/*")) continue;
        tokens.push_back(sql_lower(unquoted(token)));
    }
    return tokens;
}

}  // namespace larder
