#include "core/csv_reader.hpp"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace larder {
namespace {

std::string describe(const std::string& file, std::uint64_t line, std::size_t column, const std::string& reason) {
    std::string text = file;
    if (line != 0) text += ", line " + std::to_string(line);
    if (column != 0) text += ", column " + std::to_string(column);
    return text + ": " + reason;
}

}  // namespace

CsvError::CsvError(std::string file_, std::uint64_t line_, std::size_t column_, std::string reason_)
    : std::runtime_error(describe(file_, line_, column_, reason_)),
      file(std::move(file_)),
      line(line_),
      column(column_),
      reason(std::move(reason_)) {}

/// gzread passes plain files through as they are.
struct CsvReader::Input {
    explicit Input(const std::string& path) : file(::gzopen(path.c_str(), "rbe")) {
        if (file != nullptr) ::gzbuffer(file, 1U << 17);
    }
    ~Input() {
        if (file != nullptr) ::gzclose_r(file);
    }
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    /// False: nothing more. A damaged or shortened gzip file is an error, which `problem` describes.
    bool refill() {
        const int count = ::gzread(file, buffer, sizeof buffer);
        position = 0;
        size = count > 0 ? static_cast<std::size_t>(count) : 0;
        int code = Z_OK;
        const char* message = ::gzerror(file, &code);
        if (code == Z_ERRNO)
            problem = std::strerror(errno);
        else if (code != Z_OK && code != Z_STREAM_END)
            problem = message;
        return size > 0;
    }

    gzFile file;
    std::string problem;
    std::size_t position = 0, size = 0;
    char buffer[1U << 16];
};

CsvReader::CsvReader(const std::string& path) : path_(path), input_(std::make_unique<Input>(path)) {
    if (input_->file == nullptr)
        throw CsvError(path, 0, 0, std::string("cannot be opened (") + std::strerror(errno) + ")");
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!error) bytes_total_ = size;
    if (peek() == 0xEF) {
        const bool marked = take() == 0xEF && take() == 0xBB && take() == 0xBF;
        if (!marked) fail(1, "is not UTF-8");
    }
}

CsvReader::~CsvReader() = default;

std::uint64_t CsvReader::bytes_read() const {
    const auto offset = ::gzoffset(input_->file);
    return offset > 0 ? static_cast<std::uint64_t>(offset) : 0;
}

void CsvReader::fail(std::size_t column, const std::string& reason) const {
    throw CsvError(path_, line_, column, reason);
}

int CsvReader::peek() {
    if (input_->position == input_->size) {
        const bool more = input_->refill();
        if (!input_->problem.empty()) fail(0, "cannot be read to its end (" + input_->problem + ")");
        if (!more) return end_of_file;
    }
    return static_cast<unsigned char>(input_->buffer[input_->position]);
}

int CsvReader::take() {
    const int c = peek();
    if (c != end_of_file) ++input_->position;
    if (c == '\n') ++line_;
    return c;
}

void CsvReader::append(CsvField& field, int c, std::size_t column) {
    if (++record_bytes_ > max_record_bytes) fail(column, "is in a record above 1 MiB: a quote may be missing");
    if (c == '\0') fail(column, "holds a NUL byte");
    field.text += static_cast<char>(c);
}

/// After the opening quote. Reports an open end where the field began.
void CsvReader::read_quoted(CsvField& field, std::size_t column) {
    for (;;) {
        const int c = take();
        if (c == end_of_file) throw CsvError(path_, field.line, column, "has an opening quote and no closing one");
        if (c == '"') {
            if (peek() != '"') return;
            take();
        }
        append(field, c, column);
    }
}

void CsvReader::read_field(CsvField& field, std::size_t column) {
    field.text.clear();
    field.line = line_;
    if (peek() == '"') {
        take();
        return read_quoted(field, column);
    }
    for (int c = peek(); c != ',' && c != '\n' && c != '\r' && c != end_of_file; c = peek()) {
        if (c == '"') fail(column, "has a quote inside a field that does not begin with one");
        append(field, take(), column);
    }
}

bool CsvReader::take_line_end(std::size_t column) {
    if (peek() == '\r') {
        take();
        if (peek() != '\n') fail(column, "is followed by a carriage return without a line feed");
    }
    if (peek() != '\n') return peek() == end_of_file;
    take();
    return true;
}

void CsvReader::skip_empty_lines() {
    while (peek() == '\n' || peek() == '\r') take_line_end(1);
}

bool CsvReader::next(std::vector<CsvField>& record) {
    skip_empty_lines();
    if (peek() == end_of_file) return false;
    record_line_ = line_;
    record_bytes_ = 0;
    for (std::size_t column = 1;; ++column) {
        if (column > max_fields) fail(column, "is one too many");
        if (record.size() < column) record.emplace_back();
        read_field(record[column - 1], column);
        if (take_line_end(column)) {
            record.resize(column);
            return true;
        }
        if (take() != ',') fail(column, "has text after its closing quote");
    }
}

}  // namespace larder
