// Logs of the program: spdlog on stderr.
#pragma once

#include <string_view>

#include "shm/cache.hpp"

namespace larder::tools {

/// Makes the default logger: a synchronous sink on stderr, with colours where they are welcome. A forked worker calls
/// it again. Throws std::invalid_argument on an unknown level (debug, info, warning, error).
void start_logging(std::string_view level);

/// For Options::log. Control characters are escaped.
void log_line(LogLevel level, std::string_view text);

}  // namespace larder::tools
