// Tokens of SQL: statements that SQLite keeps, compared and looked into whoever has spelled them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder {

/// Of what SQLite takes for letters in a name.
std::string sql_lower(std::string_view text);

/// How long the word, the sign, the quoted name, the comment or the blank at the front is. REQUIRES: not empty.
std::size_t sql_token_length(std::string_view sql);

/// The words and signs of a statement in lower case, names and texts without their quotes, no blanks, no comments.
std::vector<std::string> sql_tokens(std::string_view sql);

}  // namespace larder
