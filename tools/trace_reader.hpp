// TraceReader: the requests of a cache trace, `time,key,size` lines, plain or gzip.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/csv_reader.hpp"
#include "tools/trace_file.hpp"

namespace larder::tools {

/// One request.
struct TraceRequest {
    std::int64_t at_ns = 0;  ///< since the trace's own zero
    std::string key;
    std::uint64_t size_bytes = 0;
};

/// `time` is decimal seconds (at most nine places count) and never goes back, `key` 1 to 1024 bytes, `size` whole
/// bytes. A first line that says `time,key,size` is passed over. Every member throws CsvError, which names line and
/// column.
class TraceReader {
public:
    /// `file` outlives it.
    explicit TraceReader(const TraceFile& file);

    /// False: the end.
    bool next(TraceRequest& request);
    std::uint64_t bytes_read() const { return reader_.bytes_read(); }
    std::uint64_t bytes_total() const { return reader_.bytes_total(); }

private:
    [[noreturn]] void fail(std::size_t column, const std::string& reason) const;
    std::int64_t parse_time(const std::string& text) const;

    const std::string name_;
    CsvReader reader_;
    std::vector<CsvField> fields_;
    std::int64_t last_ns_ = 0;
    bool first_ = true;
};

}  // namespace larder::tools
