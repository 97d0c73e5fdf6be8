// UTF-8: what a document may contain.
#pragma once

#include <string>
#include <string_view>

namespace larder {

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// The text with each byte that is not UTF-8 replaced by U+FFFD.
std::string to_utf8(std::string_view text);

}  // namespace larder
