// Relay: what a database says of its changes, turned into notices.
#pragma once

#include <stop_token>

#include "core/log.hpp"
#include "core/notice_sink.hpp"

namespace larder {

/// Threads: one, but for caught_up. Fork: make it after the fork; it has a connection of its own.
class Relay {
public:
    virtual ~Relay() = default;

    /// One step: tells the sink of a batch of what was committed and not told; returns of how many rows. Throws
    /// SourceError.
    virtual int poll() = 0;

    /// Steps until stopped; after an error it says so once and opens the database anew.
    virtual void run(std::stop_token stop) = 0;

    /// The last step found nothing more to tell. Any thread.
    virtual bool caught_up() const = 0;
};

}  // namespace larder
