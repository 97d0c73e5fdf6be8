// The tables of `larder top`: a heading and rows, sorted, as wide as the window. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/top_view.hpp"

namespace larder::tools {

struct TopTable {
    std::string heading;  ///< the column that rows are sorted by is marked with `*`
    std::vector<std::string> rows;
    std::string none;  ///< said where there are no rows
};

TopTable key_table(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window);
TopTable prefix_table(const TopSnapshot& snapshot, const TopChoice& choice, const Window& window);
TopTable process_table(const TopSnapshot& snapshot, const Window& window);
TopTable lease_table(const TopSnapshot& snapshot, const Window& window);

}  // namespace larder::tools
