// SIGINT and SIGTERM as a wish to stop that a loop asks for, rather than as a sudden end.
#pragma once

#include <chrono>

namespace larder::tools {

/// From its making on the two signals no longer end the program. Make it before any thread is started. One per process.
class StopSignals {
public:
    StopSignals();
    /// Sleeps at most so long; true as soon as one of the signals came, now or before.
    bool wait(std::chrono::milliseconds limit);

private:
    bool came_ = false;
};

}  // namespace larder::tools
