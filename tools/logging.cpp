#include "tools/logging.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

spdlog::level::level_enum parse_level(std::string_view text) {
    if (text == "debug") return spdlog::level::debug;
    if (text == "info") return spdlog::level::info;
    if (text == "warning") return spdlog::level::warn;
    if (text == "error") return spdlog::level::err;
    throw std::invalid_argument(
        fmt::format("`{}` is not a log level: write debug, info, warning or error", text.substr(0, 64)));
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
    case LogLevel::debug:
        return spdlog::level::debug;
    case LogLevel::info:
        return spdlog::level::info;
    case LogLevel::warning:
        return spdlog::level::warn;
    case LogLevel::error:
        return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

void start_logging(std::string_view level) {
    const spdlog::level::level_enum threshold = parse_level(level);
    auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(
        wants_colour(STDERR_FILENO) ? spdlog::color_mode::always : spdlog::color_mode::never);
    auto logger = std::make_shared<spdlog::logger>("larder", std::move(sink));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ [%P] %v", spdlog::pattern_time_type::utc);
    logger->set_level(threshold);
    spdlog::set_default_logger(std::move(logger));
}

void log_line(LogLevel level, std::string_view text) { spdlog::log(to_spdlog(level), "{}", escaped(text)); }

}  // namespace larder::tools
