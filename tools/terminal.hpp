// What a person sees: whether there is a terminal, colours, a progress bar, and text that cannot act on the terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::tools {

/// The file descriptor is a terminal.
bool is_terminal(int fd);

/// Its height; 0: it is no terminal, or does not say.
std::size_t terminal_rows(int fd);

/// Colours are welcome on it: a terminal, no NO_COLOR in the environment, TERM not `dumb`.
bool wants_colour(int fd);

/// `text` for a table: control characters, bytes that are not UTF-8, and the marks that turn the direction of text
/// become
/// `\xNN` or `\u{NNNN}`, a backslash `\\`. At most `limit` code points, then an ellipsis.
std::string escaped(std::string_view text, std::size_t limit = 4096);

/// A bar on stderr for what takes longer than a second; nothing where stderr is no terminal. One thread.
class Progress {
public:
    explicit Progress(std::string what);
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Draws at most ten times a second. total 0: unknown.
    void show(std::uint64_t done, std::uint64_t total);
    /// Wipes the line.
    void clear();

private:
    std::string what_;
    bool enabled_, drawn_ = false;
    std::chrono::steady_clock::time_point next_;
};

}  // namespace larder::tools
