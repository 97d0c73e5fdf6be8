// RepeatedError: an error of a loop that tries again, which is worth a line only when it is another than the last.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace larder {

/// Threads: one.
class RepeatedError {
public:
    /// The same as the last one is no news until it was over.
    bool is_news(std::string_view error) {
        if (error == last_) return false;
        last_ = error;
        return true;
    }
    /// There was one, and whoever was told of it is to hear of its end.
    bool is_over() { return !std::exchange(last_, {}).empty(); }

private:
    std::string last_;
};

}  // namespace larder
