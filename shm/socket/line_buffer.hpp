// Lines out of a stream of bytes, in bounded memory.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace larder::shm {

/// Every byte is looked at once, however small the pieces are in which it comes.
class LineBuffer {
public:
    explicit LineBuffer(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

    enum class Found : unsigned char { nothing, line, too_long };
    /// The next line, without LF or CRLF, valid until room(). too_long: what comes next is no line within the limit,
    /// and never will be. Call it until it finds nothing before the next room(): that is what bounds the memory.
    Found next(std::string_view& line);

    /// Where the next bytes go; commit() says how many came.
    std::span<char> room(std::size_t bytes);
    void commit(std::size_t bytes) { filled_ += bytes; }
    /// No more bytes come: what is left is the last line, if it is not empty.
    void finish() { finished_ = true; }

    bool finished() const { return finished_; }

private:
    std::vector<char> bytes_;  // grows by what is needed, no more: many clients have one
    std::size_t max_line_bytes_;
    std::size_t begin_ = 0;     // of the next line
    std::size_t searched_ = 0;  // no LF between begin_ and here
    std::size_t filled_ = 0;
    bool finished_ = false;
};

}  // namespace larder::shm
