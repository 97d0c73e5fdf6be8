// CsvTable: a CSV file read by the names of its columns, with the checks that an imported field must pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/csv_reader.hpp"
#include "core/points.hpp"

namespace larder {

struct CsvColumn {
    std::string_view name;
    bool required = true;  ///< in the header
};

/// Every accessor takes the index of a column in the list of the constructor; an empty field, or one of a column that
/// the file does not have, is null. Each throws CsvError where the field is not what it should be.
class CsvTable {
public:
    /// Reads the header. Throws CsvError when a required column is missing, or one is unknown or named twice.
    CsvTable(const std::string& path, std::span<const CsvColumn> columns);

    /// Reads the next row; false at the end. Throws CsvError unless it has as many fields as the header.
    bool next();

    /// UTF-8, at most `max_bytes` long. Valid until the next row.
    std::optional<std::string_view> text(std::size_t column, std::size_t max_bytes = CsvReader::max_record_bytes) const;
    std::optional<std::int64_t> integer(std::size_t column) const;
    std::optional<std::int64_t> count(std::size_t column) const;  ///< not negative
    std::int64_t id(std::size_t column) const;                    ///< positive, not null
    std::optional<Points> points(std::size_t column) const;
    std::optional<Points> maximum(std::size_t column) const;  ///< not negative
    bool flag(std::size_t column) const;                      ///< 0, 1, true, false; null is false
    std::optional<std::string_view> time(std::size_t column) const;

    /// Throws the CsvError of this field.
    [[noreturn]] void fail(std::size_t column, const std::string& reason) const;

    const CsvReader& reader() const { return reader_; }

private:
    static constexpr std::size_t absent = static_cast<std::size_t>(-1);
    void read_header();
    [[noreturn]] void fail_header(std::size_t position, const std::string& reason) const;
    std::string_view field(std::size_t column) const;

    std::string path_;
    CsvReader reader_;
    std::span<const CsvColumn> columns_;
    std::vector<std::size_t> positions_;  // of each column in the file
    std::vector<CsvField> record_;
    std::size_t width_ = 0;
};

}  // namespace larder
