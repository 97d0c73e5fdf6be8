// DailyTime: a time of the day, in the local time zone.
#pragma once

#include <ctime>
#include <string_view>

namespace larder::tools {

class DailyTime {
public:
    /// `00:00` to `23:59`. Throws std::invalid_argument.
    static DailyTime parse(std::string_view text);

    /// The next moment after `now` at which clocks show it. On a day whose clocks skip it, what mktime makes of it: an
    /// hour beside it; where they show it twice, one of both.
    std::time_t next_after(std::time_t now) const;

private:
    DailyTime(int hour, int minute) : hour_(hour), minute_(minute) {}
    int hour_, minute_;
};

}  // namespace larder::tools
