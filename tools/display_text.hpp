// Text by the columns that it takes on a terminal, whatever is in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::tools {

/// What a terminal can show.
enum class Alphabet { ascii, utf8 };

/// `escaped` text, of which every character takes one column or two: what takes none (marks that are set over the
/// character before) or is unknown is written as `\u{NNNN}`; in ASCII, everything beyond it. Reads no more of the text
/// than `most_columns` can need.
std::string displayable(std::string_view text, std::size_t most_columns, Alphabet alphabet);

/// REQUIRES: displayable text.
std::size_t columns_of(std::string_view text);

/// At most so many columns; what was cut ends with `~`. REQUIRES: displayable text.
std::string cut(std::string_view text, std::size_t columns);
/// The same, filled with spaces behind, or in front.
std::string cut_left(std::string_view text, std::size_t columns);
std::string cut_right(std::string_view text, std::size_t columns);

/// In lines of at most `columns`, broken at spaces where there are some; at most `most_lines`, the last of them cut.
/// REQUIRES: displayable text, columns > 0, most_lines > 0.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns, std::size_t most_lines);

}  // namespace larder::tools
