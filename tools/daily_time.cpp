#include "tools/daily_time.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace larder::tools {
namespace {

/// -1: not two digits below `limit`.
int two_digits(std::string_view text, int limit) {
    if (text.size() != 2 || text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return -1;
    const int number = (text[0] - '0') * 10 + (text[1] - '0');
    return number < limit ? number : -1;
}

}  // namespace

DailyTime DailyTime::parse(std::string_view text) {
    const int hour = text.size() == 5 && text[2] == ':' ? two_digits(text.substr(0, 2), 24) : -1;
    const int minute = hour >= 0 ? two_digits(text.substr(3), 60) : -1;
    if (minute < 0)
        throw std::invalid_argument(
            fmt::format("`{}` is not a time of the day: write 00:00 to 23:59", text.substr(0, 64)));
    return {hour, minute};
}

std::time_t DailyTime::next_after(std::time_t now) const {
    std::tm day{};
    ::localtime_r(&now, &day);
    for (int later = 0;; ++later) {  // at most two days on
        std::tm moment{};
        moment.tm_year = day.tm_year;
        moment.tm_mon = day.tm_mon;
        moment.tm_mday = day.tm_mday + later;
        moment.tm_hour = hour_;
        moment.tm_min = minute_;
        moment.tm_isdst = -1;
        const std::time_t time = std::mktime(&moment);
        if (time > now || later == 2) return time;
    }
}

}  // namespace larder::tools
