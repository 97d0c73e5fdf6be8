// CsvReader: the records of a CSV file (RFC 4180), plain or gzip, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace larder {

/// What is wrong with a file, and where. `line` counts the file's lines from 1, `column` its fields from 1; 0: of no
/// line, of no column. what() says all of it.
struct CsvError : std::runtime_error {
    CsvError(std::string file, std::uint64_t line, std::size_t column, std::string reason);
    std::string file;
    std::uint64_t line = 0;
    std::size_t column = 0;
    std::string reason;
};

struct CsvField {
    std::string text;
    std::uint64_t line = 0;  ///< where it begins
};

/// Fields may be quoted, and then hold commas, line ends and doubled quotes. Lines end with LF or CRLF; empty lines and
/// a UTF-8 byte order mark are passed over. Memory is bounded by the longest record.
class CsvReader {
public:
    static constexpr std::size_t max_record_bytes = std::size_t{1} << 20;
    static constexpr std::size_t max_fields = 1'024;

    /// Throws CsvError when the file cannot be opened.
    explicit CsvReader(const std::string& path);
    ~CsvReader();
    CsvReader(const CsvReader&) = delete;
    CsvReader& operator=(const CsvReader&) = delete;

    /// Fills `record` with the next one; false at the end of the file. Throws CsvError.
    bool next(std::vector<CsvField>& record);

    /// The line on which the last record began.
    std::uint64_t line() const { return record_line_; }
    /// Of the file as it is on disk, for a progress bar.
    std::uint64_t bytes_read() const;
    std::uint64_t bytes_total() const { return bytes_total_; }

private:
    static constexpr int end_of_file = -1;
    struct Input;

    int peek();
    int take();
    void skip_empty_lines();
    void read_field(CsvField& field, std::size_t column);
    void read_quoted(CsvField& field, std::size_t column);
    void append(CsvField& field, int c, std::size_t column);
    bool take_line_end(std::size_t column);
    [[noreturn]] void fail(std::size_t column, const std::string& reason) const;

    std::string path_;
    std::unique_ptr<Input> input_;
    std::uint64_t bytes_total_ = 0;
    std::uint64_t line_ = 1;
    std::uint64_t record_line_ = 1;
    std::size_t record_bytes_ = 0;
};

}  // namespace larder
