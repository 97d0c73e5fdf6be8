// RareLine: a line of the log that many requests would write at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace larder {

/// At most one a second; the next one says how many were left out. Threads: safe. Fork: each process has its own.
class RareLine {
public:
    static constexpr std::chrono::seconds interval{1};

    /// What is to be written; nullopt: nothing for now.
    std::optional<std::string> worth_writing(std::string line) {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (last_ && now - *last_ < interval) {
            ++left_out_;
            return std::nullopt;
        }
        last_ = now;
        if (const std::uint64_t others = std::exchange(left_out_, 0); others != 0)
            line += " (and " + std::to_string(others) + " more since the last line of this kind)";
        return line;
    }

private:
    std::mutex mutex_;
    std::optional<std::chrono::steady_clock::time_point> last_;
    std::uint64_t left_out_ = 0;
};

}  // namespace larder
