// Router: what a request's head asks for, or why it is refused; a pure function without sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/http/answer.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/token.hpp"
#include "tools/http/web_files.hpp"

namespace larder::tools {

/// What the router looks at; views into the request.
struct RequestHead {
    std::string_view method;
    std::string_view target;                        ///< path, and `?query`, which is ignored
    std::optional<std::string_view> authorization;  ///< the header's value; absent: no such header
    std::string_view host{};
    std::optional<std::string_view> origin{};  ///< a browser sends it with what a page of that origin asks for
};

enum class Endpoint : std::uint8_t {
    health,
    analytics,
    hit_rate,
    warm,
    warm_teacher,
    invalidate,
    job,
    jobs,
    page,
    events,
    metrics
};

/// Its requests change something, and may have a body that says what.
bool takes_body(Endpoint endpoint);

/// A request that passed every check that its head alone decides; existence and author are still to be asked.
struct Call {
    Endpoint endpoint = Endpoint::health;
    std::int64_t id = 0;  ///< of the assignment, the teacher or the job in the path
    Caller caller;
    bool check_only = false;  ///< existence and author alone: an empty 200, or why not; the request's body comes next
    std::string body{};       ///< where the endpoint takes one
    const WebFile* file = nullptr;  ///< of Endpoint::page
    std::string client{};           ///< address of who asks, where the endpoint takes a body
};

/// `reason` is for the log: why a token was not accepted, or a role not enough; empty where nobody needs to know.
struct Rejection {
    Answer answer;
    std::string_view reason;
    std::optional<Caller> caller{};  ///< whose token was accepted
};

using Decision = std::variant<Call, Rejection>;

/// What there is, for those who describe it.
struct RoutedPath {
    std::string_view pattern;  ///< with `{id}`
    std::string_view methods;  ///< as in `Allow`
};
std::vector<RoutedPath> routed_paths();

/// Checks in this order: route, method, token, role, id. Without `keys` nobody needs a token and everybody is an admin;
/// what pages of other origins ask for, or pages by another name than loopback's, is then refused.
Decision route(const RequestHead& head, const KeyRing* keys, WallClock::time_point now);

}  // namespace larder::tools
