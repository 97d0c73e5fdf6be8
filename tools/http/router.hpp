// Router: what a request's head asks for, or why it is refused; a pure function without sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "tools/http/answer.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/token.hpp"

namespace larder::tools {

/// What the router looks at; views into the request.
struct RequestHead {
    std::string_view method;
    std::string_view target;                        ///< path, and `?query`, which is ignored
    std::optional<std::string_view> authorization;  ///< the header's value; absent: no such header
};

enum class Endpoint : std::uint8_t { health, analytics, hit_rate };

/// A request that passed every check that its head alone decides; existence and author are still to be asked.
struct Call {
    Endpoint endpoint = Endpoint::health;
    std::int64_t assignment_id = 0;
    Caller caller;
    bool check_only = false;  ///< existence and author alone: an empty 200, or why not; the request's body comes next
};

using Decision = std::variant<Call, Answer>;

/// Checks in this order: route, method, token, role, id. Without `keys` nobody needs a token and everybody is an admin.
Decision route(const RequestHead& head, const KeyRing* keys, WallClock::time_point now);

}  // namespace larder::tools
