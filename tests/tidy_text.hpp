// What the tidy rules see of a C++ file: its code without comments and literals, its include lines and its functions.
// Heuristics over text, good enough for code laid out as ours is; no parser.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::tidy {

struct Include {
    std::size_t line = 0;  ///< from 1
    std::string path;
    bool quoted = false;  ///< "..." in place of <...>
};

struct Function {
    std::size_t line = 0;   ///< of its first word, from 1
    std::size_t lines = 0;  ///< up to and with the closing brace
};

/// The text with comments and the contents of literals turned into spaces; every line keeps its number and length.
std::string code_of(std::string_view text);

std::vector<std::string_view> lines_of(std::string_view text);

std::vector<Include> includes_of(std::string_view text);

/// The outermost function bodies; a lambda belongs to the function around it.
std::vector<Function> functions_of(std::string_view text);

}  // namespace larder::tidy
