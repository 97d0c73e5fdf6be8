// TraceFile: a trace that can be read more than once, whatever it comes from.
#pragma once

#include <cstdint>
#include <string>

namespace larder::tools {

/// A regular file is read where it is. Anything else (a pipe, a terminal) is copied once into memory, as it comes.
class TraceFile {
public:
    static constexpr std::uint64_t kMaxCopyBytes = 1ULL << 30;

    /// Throws CsvError, which names `path`: it cannot be read, or it is no file and has more than `most_bytes`.
    explicit TraceFile(const std::string& path, std::uint64_t most_bytes = kMaxCopyBytes);
    ~TraceFile();
    TraceFile(const TraceFile&) = delete;
    TraceFile& operator=(const TraceFile&) = delete;

    /// Where to open it, and what to call it: the same but for a copy.
    const std::string& readable() const { return readable_; }
    const std::string& name() const { return name_; }

private:
    void copy(int from, std::uint64_t most_bytes);

    std::string name_, readable_;
    int copy_ = -1;
};

}  // namespace larder::tools
