// The word that somebody meant who mistyped it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::tools {

/// How many letters must be added, removed, replaced or swapped with their neighbour to turn one word into the other
/// (Damerau-Levenshtein distance, optimal string alignment).
std::size_t edits_between(std::string_view one, std::string_view other);

/// The word nearest to `typed`, or the only one that it begins or that shares a whole part with it; empty: none is
/// near.
std::string nearest_word(std::string_view typed, const std::vector<std::string>& words);

}  // namespace larder::tools
