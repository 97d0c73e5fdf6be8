// Service: what answers the calls that the router let through. The HTTP server knows nothing more of what is served.
#pragma once

#include <optional>

#include "tools/http/answer.hpp"
#include "tools/http/router.hpp"

namespace larder::tools {

/// Threads: safe.
class Service {
public:
    virtual ~Service() = default;

    /// The answer, if what is in the cache is enough for it; else nothing was counted. Never waits.
    virtual std::optional<Answer> answer_at_once(const Call& call) = 0;

    /// Checks existence and author, then answers. May wait for the database, and for another process that computes the
    /// same document. What goes wrong is an answer too.
    virtual Answer answer(const Call& call) = 0;

    /// What answer_at_once gave was stale: makes it new. May wait as answer does; what goes wrong is in the log.
    virtual void refresh(const Call&) noexcept {}
};

}  // namespace larder::tools
