// Man pages of the program and of each verb, section 1.
#pragma once

#include <string>

#include "tools/manual/command_tree.hpp"

namespace larder::tools::manual {

/// What stands in the header and the foot of every page.
struct Edition {
    std::string date;  ///< YYYY-MM-DD
    std::string version;
};

/// `larder`, `larder-get`, ...
std::string page_name(const Verb& verb);

std::string program_page(const CommandTree& tree, const Edition& edition);
std::string verb_page(const CommandTree& tree, const Verb& verb, const Edition& edition);

}  // namespace larder::tools::manual
