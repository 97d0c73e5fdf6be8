// Log: where core's log lines go.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "shm/cache.hpp"

namespace larder {

/// Lines below `level` are not even put together. Silent by default; programs hand the lines to spdlog.
/// REQUIRES: `write` is safe to call from any thread.
struct Log {
    LogLevel level = LogLevel::info;
    std::function<void(LogLevel, std::string_view)> write;

    bool wants(LogLevel of_line) const { return write && of_line >= level; }
    void operator()(LogLevel of_line, const std::string& line) const {
        if (wants(of_line)) write(of_line, line);
    }
};

}  // namespace larder
