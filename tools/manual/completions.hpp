// Completions of the command line for the shells.
#pragma once

#include <string>

#include "tools/manual/command_tree.hpp"

namespace larder::tools::manual {

std::string bash_completion(const CommandTree& tree);
std::string zsh_completion(const CommandTree& tree);
std::string fish_completion(const CommandTree& tree);

/// A word in single quotes, for bash and zsh.
std::string shell_quoted(const std::string& text);

/// A command of the shells that prints the names of caches, one a line. The characters that a name may have mean
/// nothing to a shell.
inline constexpr const char* list_caches =
    R"~(larder ls --json 2>/dev/null | sed -n 's/^{"name":"\([A-Za-z0-9._-]*\)".*/\1/p')~";

/// The same of the keys in the output of `larder dump --json`; keys with other characters are not offered.
inline constexpr const char* sed_keys = R"~(sed -n 's/^{"key":"\([A-Za-z0-9._:\/@+-]*\)",.*/\1/p')~";

}  // namespace larder::tools::manual
