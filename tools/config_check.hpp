// What is wrong with a configuration file, as `larder serve` would find it.
#pragma once

#include <string>
#include <vector>

#include "tools/config_file.hpp"

namespace larder::tools {

/// `FILE:LINE: KEY: what is wrong, and what to write`, of all that is wrong, in the order of the file as far as it is
/// one key's fault. Opens the database and the key file that the file names; makes nothing. `other_key_file`: named by
/// a flag or variable; empty: none is.
std::vector<std::string> config_problems(const ConfigFile& file, const std::string& other_key_file);

}  // namespace larder::tools
