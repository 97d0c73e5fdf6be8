#include "core/timestamp.hpp"

#include <cstdio>

namespace larder {
namespace {

/// Takes fixed forms from the front of a text; once something did not fit, everything after it fails too.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    int digits(std::size_t count) {
        int value = 0;
        if (rest_.size() < count) ok_ = false;
        for (std::size_t i = 0; ok_ && i < count; ++i) {
            if (!at_digit(i)) ok_ = false;
            value = value * 10 + (rest_[i] - '0');
        }
        if (ok_) rest_.remove_prefix(count);
        return value;
    }
    bool take(char c) {
        if (!ok_ || !rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void expect(bool taken) { ok_ = ok_ && taken; }

    /// One to nine digits, as microseconds.
    int fraction_us() {
        int value = 0;
        std::size_t count = 0;
        while (count < rest_.size() && at_digit(count)) {
            if (count < 6) value = value * 10 + (rest_[count] - '0');
            ++count;
        }
        expect(count >= 1 && count <= 9);
        for (std::size_t place = count; place < 6; ++place) value *= 10;
        if (ok_) rest_.remove_prefix(count);
        return value;
    }
    bool finished() const { return ok_ && rest_.empty(); }
    bool ok() const { return ok_; }
    bool empty() const { return rest_.empty(); }

private:
    bool at_digit(std::size_t i) const { return rest_[i] >= '0' && rest_[i] <= '9'; }
    std::string_view rest_;
    bool ok_ = true;
};

std::optional<std::chrono::sys_days> scan_day(Scanner& scanner) {
    const int year = scanner.digits(4);
    scanner.expect(scanner.take('-'));
    const int month = scanner.digits(2);
    scanner.expect(scanner.take('-'));
    const int day = scanner.digits(2);
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!scanner.ok() || !date.ok()) return std::nullopt;
    return std::chrono::sys_days{date};
}

std::chrono::microseconds scan_time_of_day(Scanner& scanner) {
    const int hours = scanner.digits(2);
    scanner.expect(scanner.take(':'));
    const int minutes = scanner.digits(2);
    scanner.expect(scanner.take(':'));
    const int seconds = scanner.digits(2);
    const int fraction_us = scanner.take('.') ? scanner.fraction_us() : 0;
    scanner.expect(hours < 24 && minutes < 60 && seconds < 60);
    return std::chrono::hours{hours} + std::chrono::minutes{minutes} + std::chrono::seconds{seconds} +
           std::chrono::microseconds{fraction_us};
}

std::chrono::minutes scan_zone(Scanner& scanner) {
    if (scanner.empty() || scanner.take('Z')) return std::chrono::minutes{0};
    const int sign = scanner.take('-') ? -1 : 1;
    if (sign > 0) scanner.expect(scanner.take('+'));
    const int hours = scanner.digits(2);
    scanner.expect(scanner.take(':'));
    const int minutes = scanner.digits(2);
    scanner.expect(hours < 24 && minutes < 60);
    return sign * (std::chrono::hours{hours} + std::chrono::minutes{minutes});
}

}  // namespace

std::optional<Timestamp> parse_timestamp(std::string_view text) {
    Scanner scanner(text);
    const auto day = scan_day(scanner);
    if (!day) return std::nullopt;
    scanner.expect(scanner.take('T') || scanner.take(' '));
    const auto time_of_day = scan_time_of_day(scanner);
    const auto offset = scan_zone(scanner);
    if (!scanner.finished()) return std::nullopt;
    return Timestamp{*day} + time_of_day - offset;
}

bool is_utc_timestamp(std::string_view text) {
    return text.size() > 10 && text[10] == 'T' && text.back() == 'Z' && parse_timestamp(text).has_value();
}

std::string to_iso8601(Timestamp time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::milliseconds>(time - day)};
    char text[64];
    const int length =
        std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return std::string(text, static_cast<std::size_t>(length));
}

}  // namespace larder
