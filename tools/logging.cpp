#include "tools/logging.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "core/utf8.hpp"
#include "tools/json_lines.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

constexpr const char* journal_socket = "/run/systemd/journal/socket";

LogFormat format_in_use = LogFormat::text;  // of the default logger

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

std::string_view as_view(spdlog::string_view_t text) { return {text.data(), text.size()}; }

/// `%*`: the message, of which nothing acts on a terminal or ends the line.
class EscapedMessage final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& into) override {
        const std::string text = escaped(as_view(message.payload));
        into.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<EscapedMessage>(); }
};

std::unique_ptr<spdlog::formatter> text_formatter(const char* pattern, const char* line_end) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, line_end);
    formatter->add_flag<EscapedMessage>('*').set_pattern(pattern);
    return formatter;
}

class JsonFormatter final : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& into) override {
        const auto time = std::chrono::floor<std::chrono::seconds>(message.time);
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(message.time - time).count();
        const boost::json::object line{
            {"time",
             fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(time)), ms)},
            {"level", std::string_view(as_view(spdlog::level::to_string_view(message.level)))},
            {"pid", ::getpid()},
            {"message", to_utf8(as_view(message.payload))}};
        const std::string text = json_text(line) + "\n";
        into.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

std::shared_ptr<spdlog::logger> make_logger(LogFormat format) {
    if (format == LogFormat::journal) {
        auto logger = std::make_shared<spdlog::logger>(
            "larder", std::make_shared<spdlog::sinks::systemd_sink_mt>("larder", true));
        logger->set_formatter(text_formatter("%*", ""));
        return logger;
    }
    const bool in_colour = format == LogFormat::text && wants_colour(STDERR_FILENO);
    auto logger = std::make_shared<spdlog::logger>(
        "larder", std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(in_colour ? spdlog::color_mode::always
                                                                                      : spdlog::color_mode::never));
    if (format == LogFormat::json)
        logger->set_formatter(std::make_unique<JsonFormatter>());
    else
        logger->set_formatter(text_formatter("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ [%P] %*", "\n"));
    return logger;
}

/// systemd names the stream that it gave as `DEVICE:INODE`; a stream that was redirected since is another one.
bool goes_to_the_journal(int fd) {
    const char* const named = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    return named != nullptr && ::fstat(fd, &status) == 0 && named == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace

LogFormat log_format_of(std::string_view text) {
    if (text == "text") return LogFormat::text;
    if (text == "json") return LogFormat::json;
    const bool has_journal = ::access(journal_socket, W_OK) == 0;
    if (text.empty()) return has_journal && goes_to_the_journal(STDERR_FILENO) ? LogFormat::journal : LogFormat::text;
    if (text != "journal")
        throw std::invalid_argument(
            fmt::format("`{}` is not a log format: write text, json or journal", text.substr(0, 64)));
    if (!has_journal)
        throw std::invalid_argument(
            fmt::format("`journal`: {} is not there or not writable: write text or json", journal_socket));
    return LogFormat::journal;
}

void start_logging(std::string_view level, LogFormat format) {
    const spdlog::level::level_enum threshold = parse_level(level);
    auto logger = make_logger(format);
    logger->set_level(threshold);
    spdlog::set_default_logger(std::move(logger));
    format_in_use = format;
}

void set_log_level(std::string_view level) { spdlog::set_level(parse_level(level)); }

void check_log_level(std::string_view level) { static_cast<void>(parse_level(level)); }

void check_log_format(std::string_view format) { static_cast<void>(log_format_of(format)); }

void log_line(LogLevel level, std::string_view text) { spdlog::log(to_spdlog(level), "{}", text); }

void announce(LogLevel level, std::string_view text) {
    if (format_in_use == LogFormat::text) return complain(fmt::format("larder: {}\n", escaped(text)));
    spdlog::logger& logger = *spdlog::default_logger_raw();
    const spdlog::level::level_enum threshold = logger.level();
    logger.set_level(std::min(threshold, to_spdlog(level)));
    log_line(level, text);
    logger.set_level(threshold);
}

}  // namespace larder::tools
