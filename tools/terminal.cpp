#include "tools/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <cstdlib>

#include "tools/standard_streams.hpp"

namespace larder::tools {
namespace {

namespace utf = boost::locale::utf;

// C0, DEL and C1 controls; marks of direction, zero width and line ends; the byte-order mark.
bool is_hidden(utf::code_point point) {
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x061C || (point >= 0x200B && point <= 0x200F) ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF ||
           (point >= 0xE0000 && point <= 0xE007F);
}

void append_bytes(std::string& out, const char* begin, const char* end) {
    for (; begin != end; ++begin) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(*begin));
}

}  // namespace

bool is_terminal(int fd) { return isatty(fd) == 1; }

std::size_t terminal_rows(int fd) {
    winsize size{};
    return is_terminal(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

bool wants_colour(int fd) {
    const char* const no_colour = std::getenv("NO_COLOR");
    const char* const term = std::getenv("TERM");
    return is_terminal(fd) && (no_colour == nullptr || *no_colour == '\0') &&
           (term == nullptr || std::string_view(term) != "dumb");
}

std::string escaped(std::string_view text, std::size_t limit) {
    std::string out;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (std::size_t shown = 0; at != end; ++shown) {
        if (shown == limit) return out + "...";
        const char* const begin = at;
        const utf::code_point point = utf::utf_traits<char>::decode(at, end);
        if (point == utf::illegal || point == utf::incomplete) {
            at = begin + 1;  // only the first byte is known to be wrong
            append_bytes(out, begin, at);
        } else if (point == '\\') {
            out += "\\\\";
        } else if (point < 0x80 && is_hidden(point)) {
            append_bytes(out, begin, at);
        } else if (is_hidden(point)) {
            out += fmt::format("\\u{{{:04x}}}", point);
        } else {
            out.append(begin, at);
        }
    }
    return out;
}

Progress::Progress(std::string what)
    : what_(std::move(what)),
      enabled_(is_terminal(STDERR_FILENO)),
      next_(std::chrono::steady_clock::now() + std::chrono::seconds(1)) {}

void Progress::show(std::uint64_t done, std::uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!enabled_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    drawn_ = true;
    if (total == 0) return complain(fmt::format("\r\033[K{} {}", what_, done));
    constexpr std::size_t kWidth = 30;
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const auto filled = static_cast<std::size_t>(share * kWidth);
    complain(fmt::format("\r\033[K{} [{:#<{}}{:.<{}}] {:3.0f}%", what_, "", filled, "", kWidth - filled, share * 100));
}

void Progress::clear() {
    if (drawn_) complain("\r\033[K");
    drawn_ = false;
}

}  // namespace larder::tools
