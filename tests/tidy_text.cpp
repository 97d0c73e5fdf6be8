#include "tests/tidy_text.hpp"

#include <algorithm>
#include <cctype>

namespace larder::tidy {

namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// The ' at `at` separates digits (1'000): the word it is in began with one.
bool separates_digits(std::string_view text, std::size_t at) {
    std::size_t start = at;
    while (start > 0 && (is_word(text[start - 1]) || text[start - 1] == '\'')) --start;
    return start < at && std::isdigit(static_cast<unsigned char>(text[start])) != 0;
}

/// Where the literal or comment that begins at `at` ends; `at` itself where none begins.
std::size_t end_of_opaque(std::string_view text, std::size_t at) {
    const auto past = [&](std::size_t found, std::size_t length) {
        return found == std::string_view::npos ? text.size() : found + length;
    };
    const std::string_view rest = text.substr(at);
    if (rest.substr(0, 2) == "//") return std::min(text.find('\n', at), text.size());
    if (rest.substr(0, 2) == "/*") return past(text.find("*/", at + 2), 2);
    if (text[at] == '"' && at > 0 && text[at - 1] == 'R') {
        const std::size_t open = text.find('(', at);
        if (open == std::string_view::npos) return text.size();
        const std::string close = ")" + std::string(text.substr(at + 1, open - at - 1)) + "\"";
        return past(text.find(close, open), close.size());
    }
    if (text[at] != '"' && (text[at] != '\'' || separates_digits(text, at))) return at;
    std::size_t end = at + 1;
    while (end < text.size() && text[end] != text[at] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
    return std::min(end + 1, text.size());
}

/// `head`, the text since the last statement, without what may stand before a declaration's own first word.
std::string_view declaration(std::string_view head) {
    head = trimmed(head);
    for (std::string_view label : {"public:", "private:", "protected:"})
        if (head.substr(0, label.size()) == label) head = trimmed(head.substr(label.size()));
    while (head.substr(0, 8) == "template") {
        std::size_t depth = 0, at = 8;
        for (; at < head.size(); ++at) {
            if (head[at] == '<') ++depth;
            if (head[at] == '>' && --depth == 0) break;
        }
        head = trimmed(head.substr(std::min(at + 1, head.size())));
    }
    return head;
}

bool starts_with_word(std::string_view text, std::string_view word) {
    return text.substr(0, word.size()) == word && (text.size() == word.size() || !is_word(text[word.size()]));
}

enum class Block { scope, function, initializer, other };

/// What the brace after `head` opens, where declarations stand.
Block block_after(std::string_view head) {
    head = declaration(head);
    while (starts_with_word(head, "inline") || starts_with_word(head, "static")) head = trimmed(head.substr(6));
    for (std::string_view word : {"namespace", "class", "struct", "union"})
        if (starts_with_word(head, word)) return Block::scope;
    const std::size_t close = head.rfind(')');
    if (close == std::string_view::npos) return starts_with_word(head, "extern") ? Block::scope : Block::other;
    std::string_view rest = trimmed(head.substr(close + 1));
    for (bool again = true; again;) {
        again = false;
        for (std::string_view word : {"const", "noexcept", "override", "final", "mutable", "try", "&"})
            if (!rest.empty() && (word == "&" ? rest[0] == '&' : starts_with_word(rest, word))) {
                rest = trimmed(rest.substr(word.size()));
                again = true;
            }
    }
    if (rest.empty() || rest.substr(0, 2) == "->") return Block::function;
    return rest[0] == ':' || rest[0] == ',' ? Block::initializer : Block::other;
}

/// Walks the code brace by brace and collects the functions.
class FunctionFinder {
public:
    std::vector<Function> run(std::string_view code) {
        for (char c : code) step(c);
        return std::move(found_);
    }

private:
    bool among_declarations() const { return open_.empty() || open_.back() == Block::scope; }

    void step(char c) {
        if (c == '\n') return next_line();
        if (line_blank_ && c == '#') directive_ = true;
        if (!is_space(c)) {
            line_blank_ = false;
            last_ = c;
        }
        if (directive_) return;
        if (c == '{') return open();
        if (c == '}') return close();
        if (!among_declarations()) return;
        if (c == ';') return head_.clear();
        if (head_.empty() && is_space(c)) return;
        if (head_.empty()) head_line_ = line_;
        head_ += c;
    }

    void next_line() {
        if (directive_ && last_ != '\\') directive_ = false;
        line_blank_ = true;
        last_ = '\n';
        ++line_;
        if (!head_.empty()) head_ += ' ';
    }

    void open() {
        const Block block = among_declarations() ? block_after(head_) : Block::other;
        open_.push_back(block);
        if (block == Block::scope) head_.clear();
    }

    void close() {
        if (open_.empty()) return;
        const Block block = open_.back();
        open_.pop_back();
        if (block == Block::function) found_.push_back({head_line_, line_ - head_line_ + 1});
        if (block == Block::initializer)
            head_ += "()";  // a member initialized with braces reads on as one with parentheses
        else if (among_declarations())
            head_.clear();
    }

    std::vector<Function> found_;
    std::vector<Block> open_;
    std::string head_;
    std::size_t line_ = 1, head_line_ = 1;
    bool line_blank_ = true, directive_ = false;
    char last_ = '\n';
};

}  // namespace

std::string code_of(std::string_view text) {
    std::string code(text);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = end_of_opaque(text, at);
        for (std::size_t i = at; i < end; ++i)
            if (code[i] != '\n') code[i] = ' ';
        at = std::max(end, at + 1);
    }
    return code;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::vector<Include> includes_of(std::string_view text) {
    const std::string code = code_of(text);
    const auto lines = lines_of(text), code_lines = lines_of(code);
    std::vector<Include> includes;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::size_t at = code_lines[i].find("include");
        if (at == std::string_view::npos || trimmed(code_lines[i].substr(0, at)) != "#") continue;
        const std::string_view target = trimmed(lines[i].substr(at + 7));
        const bool quoted = !target.empty() && target[0] == '"';
        const std::size_t end = target.find(quoted ? '"' : '>', 1);
        if (end != std::string_view::npos) includes.push_back({i + 1, std::string(target.substr(1, end - 1)), quoted});
    }
    return includes;
}

std::vector<Function> functions_of(std::string_view text) { return FunctionFinder().run(code_of(text)); }

}  // namespace larder::tidy
