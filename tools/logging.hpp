// Logs of the program: spdlog on stderr, or in the journal.
#pragma once

#include <string_view>

#include "shm/cache.hpp"

namespace larder::tools {

/// text: a line each, for people. json: an object a line, `{time, level, pid, message}`. journal: systemd's, with
/// level.
enum class LogFormat { text, json, journal };

/// `text`, `json` or `journal`; empty: the journal where stderr goes to it (JOURNAL_STREAM), else text. Throws
/// std::invalid_argument; also where there is no journal, in which it would be lost.
LogFormat log_format_of(std::string_view text);

/// Makes the default logger: a synchronous sink, on a terminal with colours where they are welcome. Whatever bytes are
/// logged, they neither end a line nor act on a terminal. After a fork it is called again. Throws std::invalid_argument
/// on an unknown level (debug, info, warning, error).
void start_logging(std::string_view level, LogFormat format = LogFormat::text);

/// From now on, of a logger that was started. All three throw std::invalid_argument as start_logging and log_format_of.
void set_log_level(std::string_view level);
void check_log_level(std::string_view level);
void check_log_format(std::string_view format);

/// For Options::log.
void log_line(LogLevel level, std::string_view text);

/// What people are told whatever the level is: `larder: TEXT` on stderr; in the other formats it is logged.
void announce(LogLevel level, std::string_view text);

}  // namespace larder::tools
