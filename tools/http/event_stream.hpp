// EventStream: an answer that goes on, event after event, until its reader or its writer has enough.
#pragma once

#include <memory>
#include <string>

namespace larder::tools {

/// Belongs to one connection. All calls come from the server's thread.
class EventStream {
public:
    virtual ~EventStream() = default;
    /// What is to be sent next, in the format of text/event-stream; null: nothing so far. Never waits. Who asks late
    /// is given what is newest: nothing is kept for a slow reader.
    virtual std::shared_ptr<const std::string> next() = 0;
};

}  // namespace larder::tools
