// A wire that holds back: what goes to a server and comes from it arrives so much later.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/support/child_process.hpp"

namespace larder::fleet {

/// A process that takes connections at 127.0.0.1:PORT of a namespace and passes bytes on, either way, in order, each
/// after the delay that was set when it came. A connection that either end closes is closed. REQUIRES of the maker: one
/// thread.
class DelayLine {
public:
    /// `to`: an IPv4 address, reached from that namespace.
    DelayLine(int network, std::uint16_t port, std::string to, std::uint16_t to_port);

    void set_delay_ms(int delay_ms) { *delay_ms_ = delay_ms; }

private:
    const std::shared_ptr<std::atomic<int>> delay_ms_;  // shared with the process
    test::ChildProcess process_;
};

}  // namespace larder::fleet
