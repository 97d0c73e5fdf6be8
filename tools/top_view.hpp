// What `larder top` shows: a snapshot as lines of a window. Pure: no terminal, no cache.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "tools/display_text.hpp"
#include "tools/top_snapshot.hpp"

namespace larder::tools {

enum class SortBy { lookups, hit_share, misses, size, name };
inline constexpr int kSortings = 5;
enum class Part { overview, keys, prefixes, processes, leases };
inline constexpr int kParts = 5;

/// What the user chose.
struct TopChoice {
    Part part = Part::overview;
    SortBy sort = SortBy::lookups;
    std::size_t scroll = 0;         ///< lines
    std::string filter;             ///< only keys and prefixes that begin so
    bool is_typing_filter = false;  ///< `typed` is shown in the footer
    std::string typed;
    bool is_paused = false, shows_help = false;
    std::chrono::milliseconds interval{1'000};
};

struct Window {
    std::size_t rows = 24, columns = 80;
    Alphabet alphabet = Alphabet::utf8;
};

enum class Style { plain, title, heading, bad, muted };
struct StyledLine {
    std::string text;
    Style style = Style::plain;
};

struct TopPage {
    std::vector<StyledLine> lines;  ///< as many as the window has rows, or fewer; none is wider than it
    std::size_t scroll = 0;         ///< as far as there is something to scroll to
    std::size_t step = 1;           ///< lines of a page, for PgUp and PgDn
};

TopPage top_page(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window);

}  // namespace larder::tools
