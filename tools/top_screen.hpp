// TopScreen: the terminal as a page of lines, with its keys; given back as it was found, however the program ends but
// by SIGKILL. One per process, one thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "tools/top_view.hpp"

namespace larder::tools {

class TopScreen {
public:
    /// Takes the terminal of standard input and output over, and the signals to end, to stop, and of its size. Throws
    /// Refusal where there is no terminal, or one that cannot do it.
    TopScreen();
    ~TopScreen();
    TopScreen(const TopScreen&) = delete;
    TopScreen& operator=(const TopScreen&) = delete;

    Window window() const;
    void draw(const std::vector<StyledLine>& lines);
    /// The next draw() writes everything anew.
    void forget();

    struct Event {
        enum class Kind { time, key, size, end } kind = Kind::time;  ///< `end`: a signal, or the terminal is gone
        char32_t key = 0;                                            ///< see top_input.hpp
    };
    /// Waits for one, at most so long; nullopt: for ever.
    Event wait(std::optional<std::chrono::milliseconds> limit);

private:
    class Terminal;
    std::unique_ptr<Terminal> terminal_;
};

}  // namespace larder::tools
