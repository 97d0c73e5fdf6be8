// LogLimiter: so many lines within a time, and how many were left out.
#pragma once

#include <chrono>
#include <cstddef>
#include <utility>

namespace larder::tools {

/// Threads: one.
class LogLimiter {
public:
    using Clock = std::chrono::steady_clock;

    LogLimiter(std::size_t lines, std::chrono::milliseconds window) : lines_(lines), window_(window) {}

    /// Whether a line may be written. `left_out`: how many were not since the last one that was.
    bool admit(Clock::time_point now, std::size_t& left_out) {
        if (now - begin_ >= window_) {
            begin_ = now;
            written_ = 0;
        }
        if (written_ == lines_) {
            ++left_out_;
            return false;
        }
        ++written_;
        left_out = left_out_;
        left_out_ = 0;
        return true;
    }

    /// How many were left out in a window that is over, which no line has told of; they are told of by that.
    std::size_t take_left_out(Clock::time_point now) {
        return now - begin_ >= window_ ? std::exchange(left_out_, 0) : 0;
    }

private:
    const std::size_t lines_;
    const std::chrono::milliseconds window_;
    Clock::time_point begin_{};
    std::size_t written_ = 0, left_out_ = 0;
};

}  // namespace larder::tools
