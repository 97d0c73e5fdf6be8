#include "tools/nearest_word.hpp"

#include <algorithm>

namespace larder::tools {
namespace {

constexpr std::size_t kMostEdits = 2;
constexpr std::size_t kMostTyped = 32;  // longer than any word of ours: not worth comparing
constexpr std::size_t kBeginning = 3;   // letters that say enough

/// `one` is a whole part of `other`, between dashes.
bool is_part(std::string_view one, std::string_view other) {
    for (std::size_t at = other.find(one); at != std::string_view::npos; at = other.find(one, at + 1)) {
        const std::size_t end = at + one.size();
        if ((at == 0 || other[at - 1] == '-') && (end == other.size() || other[end] == '-')) return true;
    }
    return false;
}

/// The only word of which that is true; empty: there is none, or several.
template <class Condition>
std::string only_one(const std::vector<std::string>& words, Condition condition) {
    const auto found = std::find_if(words.begin(), words.end(), condition);
    if (found == words.end() || std::any_of(found + 1, words.end(), condition)) return {};
    return *found;
}

}  // namespace

std::size_t edits_between(std::string_view one, std::string_view other) {
    std::vector<std::vector<std::size_t>> edits(one.size() + 1, std::vector<std::size_t>(other.size() + 1));
    for (std::size_t i = 0; i <= one.size(); ++i) {
        for (std::size_t j = 0; j <= other.size(); ++j) {
            if (i == 0 || j == 0) {
                edits[i][j] = i + j;
                continue;
            }
            const std::size_t replaced = edits[i - 1][j - 1] + (one[i - 1] == other[j - 1] ? 0 : 1);
            edits[i][j] = std::min({edits[i - 1][j] + 1, edits[i][j - 1] + 1, replaced});
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1])
                edits[i][j] = std::min(edits[i][j], edits[i - 2][j - 2] + 1);
        }
    }
    return edits[one.size()][other.size()];
}

std::string nearest_word(std::string_view typed, const std::vector<std::string>& words) {
    if (typed.empty() || typed.size() > kMostTyped) return {};
    std::string nearest = only_one(words, [typed](const std::string& word) { return word.starts_with(typed); });
    if (!nearest.empty()) return nearest;
    std::size_t fewest = std::min(kMostEdits, typed.size() - 1) + 1;  // fewer than letters: something must be alike
    for (const std::string& word : words) {
        const std::size_t edits = edits_between(typed, word);
        if (edits >= fewest) continue;
        fewest = edits;
        nearest = word;
    }
    if (!nearest.empty()) return nearest;
    return only_one(words, [typed](const std::string& word) {
        return is_part(typed, word) || is_part(word, typed) || (word.size() >= kBeginning && typed.starts_with(word));
    });
}

}  // namespace larder::tools
