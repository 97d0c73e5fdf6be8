#include "tools/terminal_kind.hpp"

// In this order: the second needs the first.
#include <curses.h>
#include <term.h>
#include <unistd.h>

namespace larder::tools {

bool is_known_terminal(const char* name) {
    int error = 0;
    if (name == nullptr || *name == '\0' || ::setupterm(name, STDOUT_FILENO, &error) != OK) return false;
    ::del_curterm(::set_curterm(nullptr));
    return true;
}

}  // namespace larder::tools
