#include "shm/socket/line_buffer.hpp"

#include <algorithm>

namespace larder::shm {
namespace {

std::string_view without_cr(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

}  // namespace

LineBuffer::Found LineBuffer::next(std::string_view& line) {
    const std::string_view filled(bytes_.data(), filled_);
    const std::size_t end = filled.find('\n', std::max(begin_, searched_));
    const bool ended = end != std::string_view::npos;
    line = without_cr(filled.substr(begin_, ended ? end - begin_ : end));
    if (line.size() > max_line_bytes_) return Found::too_long;
    searched_ = filled_;
    if (!ended && (!finished_ || begin_ == filled_)) return Found::nothing;
    begin_ = ended ? end + 1 : filled_;
    searched_ = begin_;
    return Found::line;
}

std::span<char> LineBuffer::room(std::size_t bytes) {
    if (begin_ > 0) {
        std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(begin_),
                  bytes_.begin() + static_cast<std::ptrdiff_t>(filled_), bytes_.begin());
        filled_ -= begin_;
        searched_ -= begin_;
        begin_ = 0;
    }
    if (bytes_.size() < filled_ + bytes) {
        bytes_.reserve(filled_ + bytes);
        bytes_.resize(filled_ + bytes);
    }
    return {bytes_.data() + filled_, bytes};
}

}  // namespace larder::shm
