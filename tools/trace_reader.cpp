#include "tools/trace_reader.hpp"

#include <charconv>
#include <string_view>

#include "shm/layout.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kMaxSeconds = 4'000'000'000;  // with a hundred years' TTL still below 2^63 ns
constexpr std::size_t kPlaces = 9;

/// All digits and nothing else.
bool parse_digits(std::string_view text, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// What `read` returns; its errors get the user's name of the file, which may be a copy.
template <class Read>
auto named(const std::string& name, Read read) {
    try {
        return read();
    } catch (const CsvError& error) {
        throw CsvError(name, error.line, error.column, error.reason);
    }
}

}  // namespace

TraceReader::TraceReader(const TraceFile& file)
    : name_(file.name()), reader_(named(name_, [&file] { return CsvReader(file.readable()); })) {}

void TraceReader::fail(std::size_t column, const std::string& reason) const {
    throw CsvError(name_, reader_.line(), column, reason);
}

std::int64_t TraceReader::parse_time(const std::string& text) const {
    const std::size_t point = text.find('.');
    std::uint64_t seconds = 0, digits = 0, nanoseconds = 0;
    if (!parse_digits(std::string_view(text).substr(0, point), seconds))
        fail(1, "is not a time in decimal seconds, such as 12.5");
    if (seconds >= static_cast<std::uint64_t>(kMaxSeconds))
        fail(1, "is a time above 4,000,000,000 seconds; are these milliseconds?");
    if (point != std::string::npos) {
        std::string places = text.substr(point + 1);
        if (!parse_digits(places.substr(0, 18), digits) || places.find_first_not_of("0123456789") != std::string::npos)
            fail(1, "is not a time in decimal seconds, such as 12.5");
        places.resize(kPlaces, '0');
        parse_digits(places, nanoseconds);
    }
    return static_cast<std::int64_t>(seconds * 1'000'000'000 + nanoseconds);
}

bool TraceReader::next(TraceRequest& request) {
    if (!named(name_, [this] { return reader_.next(fields_); })) return false;
    const bool header = first_ && fields_.size() == 3 && fields_[0].text == "time" && fields_[1].text == "key" &&
                        fields_[2].text == "size";
    first_ = false;
    if (header) return next(request);
    if (fields_.size() != 3) fail(0, "has " + std::to_string(fields_.size()) + " columns, not time,key,size");
    request.at_ns = parse_time(fields_[0].text);
    if (request.at_ns < last_ns_) fail(1, "is before the time of the line above: sort the trace by time");
    last_ns_ = request.at_ns;
    if (fields_[1].text.empty() || fields_[1].text.size() > shm::kMaxKeyBytes)
        fail(2, "is not a key of 1 to 1024 bytes");
    request.key.swap(fields_[1].text);
    if (!parse_digits(fields_[2].text, request.size_bytes)) fail(3, "is not a size in whole bytes");
    return true;
}

}  // namespace larder::tools
