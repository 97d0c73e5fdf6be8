// TerminalWatch: whether a SIGHUP is a wish to reload, or says that the terminal was closed.
#pragma once

#include <chrono>
#include <functional>

namespace larder::tools {

/// A program that was started on a terminal is sent SIGHUP when that is closed, by the kernel or by the shell; so is
/// one that shall reload. They differ in what becomes of the terminal in the same moment. One that was gone long before
/// has nothing to do with it, nor has one whose hangups the program was told to ignore (nohup).
class TerminalWatch {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds look_interval{1'000};
    static constexpr std::chrono::milliseconds moment{2'000};

    /// Of this process. REQUIRES: the disposition of SIGHUP is still the one that it was started with.
    TerminalWatch();
    /// `is_there`: the process has a controlling terminal.
    explicit TerminalWatch(std::function<bool()> is_there);

    /// To be called a few times a second.
    void look(Clock::time_point now);
    void note_hangup(Clock::time_point now) { hangup_at_ = now; }
    /// A SIGHUP came and the terminal went, within a moment of each other: nobody is there any more.
    bool has_closed(Clock::time_point now);

private:
    std::function<bool()> is_there_;
    bool there_;
    Clock::time_point next_look_{}, gone_at_{}, hangup_at_{};
};

}  // namespace larder::tools
