// RepeatedError: what goes wrong in a loop that tries again, each way once.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder {

/// Threads: one.
class RepeatedError {
public:
    static constexpr std::size_t most_texts = 8;  ///< further ones are no news

    /// What failed last failed so long ago that it must have worked since, whoever noticed.
    static constexpr std::chrono::minutes forgotten{1};
    static constexpr std::chrono::seconds settled{2};
    using Clock = std::chrono::steady_clock;

    /// None of those since it worked last.
    bool is_news(std::string_view error, Clock::time_point now = Clock::now()) {
        if (now - std::exchange(last_, now) >= forgotten) seen_.clear();
        if (seen_.size() == most_texts || std::find(seen_.begin(), seen_.end(), error) != seen_.end()) return false;
        seen_.emplace_back(error);
        return true;
    }
    /// There was one, and whoever was told of it is to hear of its end.
    bool is_over() { return !std::exchange(seen_, {}).empty(); }
    /// Of what fails now and then, and works between: not before it has worked for a while.
    bool is_over_at(Clock::time_point success) { return success > last_ + settled && is_over(); }

private:
    std::vector<std::string> seen_;
    Clock::time_point last_{};
};

}  // namespace larder
