// What the keys of `larder top` do. Pure.
#pragma once

#include <cstddef>

#include "tools/top_view.hpp"

namespace larder::tools {

/// A key: a Unicode character, or one of these, which lie above all of them.
enum Key : char32_t {
    kUp = 0x110000,
    kDown,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
    kBackspace,
    kEnter,
    kEscape,
    kBackTab,
};

enum class TopAction {
    show,    ///< what is known, anew
    redraw,  ///< the same, on a screen of which nothing is believed
    look,    ///< look at the cache now
    filter,  ///< TopChoice::filter is another one: look now, but in a pause
    quit,
};

/// `step`: of the page that is shown.
TopAction press(TopChoice& choice, char32_t key, std::size_t step);

}  // namespace larder::tools
