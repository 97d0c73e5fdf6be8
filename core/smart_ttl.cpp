#include "core/smart_ttl.hpp"

#include <algorithm>
#include <functional>

namespace larder {
namespace {

constexpr std::ptrdiff_t looked_at = 8;
constexpr int parts = 10;  // by the replay of bench/smart_ttl.cpp: larger shares gain little, and are stale more often

}  // namespace

std::vector<Timestamp> change_times(const AssignmentRecord& record) {
    std::vector<Timestamp> times;
    for (const Submission& submission : record.submissions)
        for (const auto& time : {submission.submitted_at, submission.graded_at})
            if (time) times.push_back(*time);
    return times;
}

std::chrono::milliseconds smart_ttl(std::vector<Timestamp> changes, Timestamp now, const TtlRange& range) {
    changes.erase(std::remove_if(changes.begin(), changes.end(), [now](Timestamp time) { return time > now; }),
                  changes.end());
    if (changes.empty()) return range.longest;
    const auto count = std::min(looked_at, static_cast<std::ptrdiff_t>(changes.size()));
    std::nth_element(changes.begin(), changes.begin() + (count - 1), changes.end(), std::greater<>());
    const auto mean = (now - changes[static_cast<std::size_t>(count - 1)]) / count;
    return std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(mean / parts), range.shortest,
                      range.longest);
}

}  // namespace larder
