// Ends the test program when a test that takes locks hangs: a deadlock fails, instead of waiting for ctest's patience.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

namespace larder::test {

/// One at a time. A forked child has none of it (timers are not inherited).
class Watchdog {
public:
    explicit Watchdog(unsigned seconds = 100) {
        struct sigaction bark {};
        bark.sa_handler = [](int) {
            static constexpr char kMessage[] = "watchdog: the test hangs\n";
            static_cast<void>(!::write(STDERR_FILENO, kMessage, sizeof kMessage - 1));
            ::abort();
        };
        ::sigaction(SIGALRM, &bark, &before_);
        ::alarm(seconds);
    }
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() {
        ::alarm(0);
        ::sigaction(SIGALRM, &before_, nullptr);
    }

private:
    struct sigaction before_ {};
};

}  // namespace larder::test
