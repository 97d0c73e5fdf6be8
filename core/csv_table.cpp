#include "core/csv_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/timestamp.hpp"
#include "core/utf8.hpp"

namespace larder {
namespace {

constexpr std::size_t max_quoted_bytes = 40;

/// A field as an error message shows it.
std::string quoted(std::string_view text) {
    const bool whole = text.size() <= max_quoted_bytes;
    std::string shown = to_utf8(text.substr(0, max_quoted_bytes));
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c >= 0 && (c < ' ' || c == 0x7F); }, ' ');
    return "\"" + shown + (whole ? "\"" : "...\"");
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
    return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

}  // namespace

CsvTable::CsvTable(const std::string& path, std::span<const CsvColumn> columns)
    : path_(path), reader_(path), columns_(columns), positions_(columns.size(), absent) {
    read_header();
}

void CsvTable::fail_header(std::size_t position, const std::string& reason) const {
    throw CsvError(path_, reader_.line(), position, reason);
}

void CsvTable::read_header() {
    if (!reader_.next(record_)) throw CsvError(path_, 1, 0, "the file is empty: its first line must name the columns");
    width_ = record_.size();
    for (std::size_t position = 0; position < width_; ++position) {
        const std::string& name = record_[position].text;
        const auto known =
            std::find_if(columns_.begin(), columns_.end(), [&](const CsvColumn& c) { return c.name == name; });
        if (known == columns_.end()) fail_header(position + 1, quoted(name) + " is not a column of this table");
        std::size_t& slot = positions_[static_cast<std::size_t>(known - columns_.begin())];
        if (slot != absent) fail_header(position + 1, "the column " + name + " is named twice");
        slot = position;
    }
    for (std::size_t i = 0; i < columns_.size(); ++i)
        if (columns_[i].required && positions_[i] == absent)
            fail_header(0, "the column " + std::string(columns_[i].name) + " is missing from the header");
}

bool CsvTable::next() {
    if (!reader_.next(record_)) return false;
    if (record_.size() != width_)
        throw CsvError(
            path_, reader_.line(), std::min(record_.size(), width_ + 1),
            "the row has " + std::to_string(record_.size()) + " fields, the header " + std::to_string(width_));
    return true;
}

void CsvTable::fail(std::size_t column, const std::string& reason) const {
    const std::size_t position = positions_[column];
    const std::uint64_t line = position == absent ? reader_.line() : record_[position].line;
    throw CsvError(path_, line, position == absent ? 0 : position + 1,
                   std::string(columns_[column].name) + " " + reason);
}

std::string_view CsvTable::field(std::size_t column) const {
    const std::size_t position = positions_[column];
    return position == absent ? std::string_view{} : std::string_view{record_[position].text};
}

std::optional<std::string_view> CsvTable::text(std::size_t column, std::size_t max_bytes) const {
    const std::string_view text = field(column);
    if (text.empty()) return std::nullopt;
    if (text.size() > max_bytes) fail(column, "is longer than " + std::to_string(max_bytes) + " bytes");
    if (!is_utf8(text)) fail(column, "is not UTF-8: " + quoted(text));
    return text;
}

std::optional<std::int64_t> CsvTable::integer(std::size_t column) const {
    const std::string_view text = field(column);
    if (text.empty()) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) fail(column, "is not an integer: " + quoted(text));
    return value;
}

std::optional<std::int64_t> CsvTable::count(std::size_t column) const {
    const auto value = integer(column);
    if (value && *value < 0) fail(column, "is negative: " + std::to_string(*value));
    return value;
}

std::int64_t CsvTable::id(std::size_t column) const {
    const auto value = integer(column);
    if (!value) fail(column, "is empty: every row needs one");
    if (*value <= 0) fail(column, "is not a positive integer: " + std::to_string(*value));
    return *value;
}

std::optional<Points> CsvTable::points(std::size_t column) const {
    const std::string_view text = field(column);
    if (text.empty()) return std::nullopt;
    const auto value = parse_points(text);
    if (!value) fail(column, "is not a decimal below 1e9 with at most 4 places: " + quoted(text));
    return value;
}

std::optional<Points> CsvTable::maximum(std::size_t column) const {
    const auto value = points(column);
    if (value && *value < Points{0}) fail(column, "is negative: " + quoted(field(column)));
    return value;
}

bool CsvTable::flag(std::size_t column) const {
    const std::string_view text = field(column);
    if (text == "1" || equals_ignoring_case(text, "true")) return true;
    if (text.empty() || text == "0" || equals_ignoring_case(text, "false")) return false;
    fail(column, "is not 0, 1, true or false: " + quoted(text));
}

std::optional<std::string_view> CsvTable::time(std::size_t column) const {
    const std::string_view text = field(column);
    if (text.empty()) return std::nullopt;
    if (!is_utc_timestamp(text)) fail(column, "is not a time such as 2013-10-20T23:59:59Z: " + quoted(text));
    return text;
}

}  // namespace larder
