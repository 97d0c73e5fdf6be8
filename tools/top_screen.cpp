#include "tools/top_screen.hpp"

// No header of ours includes it, and of its functions none is a macro.
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "shm/system.hpp"
#include "tools/terminal.hpp"
#include "tools/terminal_kind.hpp"
#include "tools/top_input.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using Event = TopScreen::Event;

constexpr const char* kElsewhere = "use `larder stat --watch 1s`";
constexpr int kEscapeMs = 25;  // longer than the bytes of one key are apart

sigset_t watched_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT}) sigaddset(&set, number);
    return set;
}

/// TERM, for messages.
std::string kind_text() {
    const char* const name = std::getenv("TERM");
    return std::string("(TERM=") + (name == nullptr ? "" : name) + ")";
}

void check_terminal() {
    if (!is_terminal(STDIN_FILENO) || !is_terminal(STDOUT_FILENO))
        throw Refusal(kUsage, std::string("top needs a terminal; elsewhere ") + kElsewhere);
}

Alphabet alphabet_of_locale() {
    ::setlocale(LC_CTYPE, "");
    return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0 ? Alphabet::utf8 : Alphabet::ascii;
}

/// 0: none that anything is done at.
char32_t key_of(int status, wint_t code) {
    if (status == OK) {
        if (code == '\n' || code == '\r') return kEnter;
        if (code == 8 || code == 127) return kBackspace;
        return code == 27 ? static_cast<char32_t>(kEscape) : static_cast<char32_t>(code);
    }
    switch (code) {
    case KEY_UP:
        return kUp;
    case KEY_DOWN:
        return kDown;
    case KEY_PPAGE:
        return kPageUp;
    case KEY_NPAGE:
        return kPageDown;
    case KEY_HOME:
        return kHome;
    case KEY_END:
        return kEnd;
    case KEY_BACKSPACE:
        return kBackspace;
    case KEY_ENTER:
        return kEnter;
    case KEY_BTAB:
        return kBackTab;
    default:
        return 0;
    }
}

constexpr short kTitleColour = 1, kBadColour = 2, kHeadingColour = 3;

}  // namespace

class TopScreen::Terminal {
public:
    Terminal() : alphabet_(alphabet_of_locale()) {
        check_terminal();
        const sigset_t set = watched_signals();
        ::sigprocmask(SIG_BLOCK, &set, &signals_before_);
        signals_ = shm::system::Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        try {
            screen_ = open_screen();
        } catch (...) {
            ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
            throw;
        }
        ::cbreak();
        ::noecho();
        ::nonl();
        ::keypad(stdscr, TRUE);
        ::nodelay(stdscr, TRUE);
        ::set_escdelay(kEscapeMs);
        ::curs_set(0);
        begin_colours();
        fit();
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        ::endwin();
        ::delscreen(screen_);
        // A second signal to end, which came meanwhile, has been heeded by now.
        const timespec now{};
        const sigset_t set = watched_signals();
        while (::sigtimedwait(&set, nullptr, &now) > 0) {}
        ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
    }

    Window window() const {
        return {static_cast<std::size_t>(getmaxy(stdscr)), static_cast<std::size_t>(getmaxx(stdscr)), alphabet_};
    }

    void draw(const std::vector<StyledLine>& lines) {
        ::werase(stdscr);
        for (std::size_t row = 0; row < lines.size(); ++row) {
            const StyledLine& line = lines[row];
            const attr_t look = look_of(line.style);
            ::wattrset(stdscr, static_cast<int>(look));
            ::wmove(stdscr, static_cast<int>(row), 0);
            ::waddnstr(stdscr, line.text.c_str(), -1);
            if (line.style == Style::heading)
                ::whline(stdscr, ' ' | look, getmaxx(stdscr));  // a bar as wide as the window
            ::wattrset(stdscr, static_cast<int>(A_NORMAL));
        }
        ::wrefresh(stdscr);
    }
    void forget() { ::clearok(stdscr, TRUE); }

    Event wait(std::optional<std::chrono::milliseconds> limit) {
        // A key may be read already.
        if (const Event key = read_key(); key.kind == Event::Kind::key) return key;
        pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {signals_.number(), POLLIN, 0}};
        if (::poll(ready, 2, limit ? static_cast<int>(limit->count()) : -1) <= 0) return {};
        if (ready[1].revents != 0) return read_signal();
        if ((ready[0].revents & POLLIN) != 0) {
            const Event key = read_key();
            if (key.kind == Event::Kind::time && (ready[0].revents & POLLHUP) == 0 && !is_at_end()) return key;
            if (key.kind != Event::Kind::time) return key;
        }
        return {Event::Kind::end, 0};
    }

private:
    SCREEN* open_screen() const {
        if (!signals_.is_open()) throw Refusal(kFailure, "no descriptor is left for signals");
        const char* const name = std::getenv("TERM");
        SCREEN* const screen = is_known_terminal(name) ? ::newterm(name, stdout, stdin) : nullptr;
        if (screen == nullptr)
            throw Refusal(kFailure,
                          "the kind of this terminal is not known " + kind_text() + ": set TERM, or " + kElsewhere);
        if (::tigetstr("cup") != nullptr && ::tigetstr("clear") != nullptr) return screen;
        ::endwin();
        ::delscreen(screen);
        throw Refusal(kFailure, "this terminal cannot move its cursor " + kind_text() + ": " + kElsewhere);
    }

    /// The terminal is gone: ready to be read, and nothing is there to read.
    static bool is_at_end() {
        int bytes = 0;
        pollfd input{STDIN_FILENO, POLLIN, 0};
        return ::poll(&input, 1, 0) == 1 && ::ioctl(STDIN_FILENO, FIONREAD, &bytes) == 0 && bytes == 0;
    }

    void begin_colours() {
        coloured_ = wants_colour(STDOUT_FILENO) && ::has_colors() && ::start_color() == OK;
        if (!coloured_) return;
        const short background = ::use_default_colors() == OK ? -1 : COLOR_BLACK;
        ::init_pair(kTitleColour, COLOR_CYAN, background);
        ::init_pair(kBadColour, COLOR_RED, background);
        ::init_pair(kHeadingColour, COLOR_BLACK, COLOR_CYAN);
    }
    attr_t look_of(Style style) const {
        const auto colour = [this](short pair) { return coloured_ ? static_cast<attr_t>(COLOR_PAIR(pair)) : A_NORMAL; };
        switch (style) {
        case Style::title:
            return A_BOLD | colour(kTitleColour);
        case Style::heading:
            return coloured_ ? colour(kHeadingColour) : A_REVERSE;
        case Style::bad:
            return A_BOLD | colour(kBadColour);
        case Style::muted:
            return A_DIM;
        case Style::plain:
            break;
        }
        return A_NORMAL;
    }

    Event read_key() {
        wint_t code = 0;
        const int status = ::wget_wch(stdscr, &code);
        if (status == ERR) return {};
        const char32_t key = key_of(status, code);
        return key == 0 ? Event{} : Event{Event::Kind::key, key};
    }

    Event read_signal() {
        signalfd_siginfo info{};
        if (::read(signals_.number(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return {};
        switch (info.ssi_signo) {
        case SIGTSTP:
            ::endwin();
            ::raise(SIGSTOP);  // until SIGCONT, which is read next
            return {};
        case SIGCONT:
            ::wrefresh(stdscr);
            forget();
            [[fallthrough]];
        case SIGWINCH:
            fit();
            return {Event::Kind::size, 0};
        default:
            return {Event::Kind::end, 0};
        }
    }

    /// The size that the terminal has now.
    void fit() {
        winsize size{};
        if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0)
            ::resizeterm(size.ws_row, size.ws_col);
    }

    const Alphabet alphabet_;
    sigset_t signals_before_{};
    shm::system::Descriptor signals_;
    SCREEN* screen_ = nullptr;
    bool coloured_ = false;
};

TopScreen::TopScreen() : terminal_(std::make_unique<Terminal>()) {}
TopScreen::~TopScreen() = default;
Window TopScreen::window() const { return terminal_->window(); }
void TopScreen::draw(const std::vector<StyledLine>& lines) { terminal_->draw(lines); }
void TopScreen::forget() { terminal_->forget(); }
TopScreen::Event TopScreen::wait(std::optional<std::chrono::milliseconds> limit) { return terminal_->wait(limit); }

}  // namespace larder::tools
