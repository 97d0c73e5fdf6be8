#include "tools/terminal_watch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace larder::tools {
namespace {

// Of the calling process; a terminal that was closed leaves none of its processes one.
bool has_controlling_terminal() {
    const int fd = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return errno == EMFILE || errno == ENFILE;  // for once it cannot be known
    ::close(fd);
    return true;
}

bool ignores_hangups() {
    struct sigaction now {};
    return ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

TerminalWatch::TerminalWatch()
    : TerminalWatch(ignores_hangups() ? std::function<bool()>([] { return false; }) : has_controlling_terminal) {}

TerminalWatch::TerminalWatch(std::function<bool()> is_there) : is_there_(std::move(is_there)), there_(is_there_()) {}

void TerminalWatch::look(Clock::time_point now) {
    if (!there_ || now < next_look_) return;
    next_look_ = now + look_interval;
    if (is_there_()) return;
    there_ = false;
    gone_at_ = now;
}

bool TerminalWatch::has_closed(Clock::time_point now) {
    constexpr Clock::time_point never{};
    if (hangup_at_ == never || now - hangup_at_ > moment) return false;
    next_look_ = now;
    look(now);
    return gone_at_ != never && std::chrono::abs(hangup_at_ - gone_at_) <= moment;
}

}  // namespace larder::tools
