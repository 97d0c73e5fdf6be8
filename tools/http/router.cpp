#include "tools/http/router.hpp"

#include <array>
#include <charconv>
#include <string>
#include <system_error>

namespace larder::tools {
namespace {

constexpr std::string_view look = "GET, HEAD", change = "POST", id_mark = "{id}";

/// Who may ask, as far as the head decides it.
enum class Right : std::uint8_t {
    anybody,
    author,   ///< tutors and teachers; the service asks whose it is
    teacher,  ///< the tutor or teacher whose number is in the path
    staff,    ///< tutors and teachers
    admin,
};

struct Route {
    std::string_view pattern;
    std::string_view methods;  ///< as in `Allow`
    Endpoint endpoint;
    Right right;
};

constexpr std::array routes{
    Route{"/healthz", look, Endpoint::health, Right::anybody},
    Route{"/api/assignments/{id}/analytics/", look, Endpoint::analytics, Right::author},
    Route{"/api/assignments/{id}/cache_hit_rate/", look, Endpoint::hit_rate, Right::author},
    Route{"/api/teachers/{id}/warm/", change, Endpoint::warm_teacher, Right::teacher},
    Route{"/api/cache/warm/", change, Endpoint::warm, Right::admin},
    Route{"/api/cache/invalidate/", change, Endpoint::invalidate, Right::admin},
    Route{"/api/cache/jobs/", look, Endpoint::jobs, Right::staff},
    Route{"/api/cache/jobs/{id}", look, Endpoint::job, Right::staff},
    Route{"/api/cache/jobs/{id}/", look, Endpoint::job, Right::staff},
    Route{"/api/cache/events/", look, Endpoint::events, Right::staff},
    Route{"/metrics", look, Endpoint::metrics, Right::admin},
};

constexpr Route web_route{"/", look, Endpoint::page, Right::anybody};

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
    }
    return true;
}

/// The part of `path` in the place of `{id}`, empty where there is no such place; nullopt: the path is another one.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) {
    const std::size_t mark = pattern.find(id_mark);
    if (mark == std::string_view::npos) return path == pattern ? std::optional(std::string_view()) : std::nullopt;
    const std::string_view tail = pattern.substr(mark + id_mark.size());
    if (path.size() <= mark + tail.size() || path.substr(0, mark) != pattern.substr(0, mark) ||
        path.substr(path.size() - tail.size()) != tail)
        return std::nullopt;
    const std::string_view id = path.substr(mark, path.size() - mark - tail.size());
    return id.find('/') == std::string_view::npos ? std::optional(id) : std::nullopt;
}

struct Match {
    const Route* route = nullptr;
    std::string_view id;
    bool lacks_slash = false;
    const WebFile* file = nullptr;
};

std::optional<Match> match(std::string_view path) {
    if (const WebFile* const file = find_web_file(path)) return Match{&web_route, {}, false, file};
    for (const Route& route : routes)
        if (const auto id = match(route.pattern, path)) return Match{&route, *id, false};
    for (const Route& route : routes)
        if (route.pattern.back() == '/')
            if (const auto id = match(route.pattern.substr(0, route.pattern.size() - 1), path))
                return Match{&route, *id, true};
    return std::nullopt;
}

// What comes after the host of a target in absolute form (RFC 9112, 3.2.2), else the target itself.
std::string_view origin_form(std::string_view target) {
    constexpr std::string_view scheme = "http://";
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) return target;
    const std::size_t slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

// As a URI is written (RFC 3986, 2.1): the parser lets any byte above 0x7f into a target.
std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string written;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f)
            written += c;
        else
            written.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
    return written;
}

// Only a target that matched a route gets here: without a scheme or host of its own.
Answer redirect_to_slash(std::string_view target, std::size_t path_size) {
    Answer answer;
    answer.status = 308;
    answer.headers.emplace_back("Location",
                                printable(target.substr(0, path_size)) + "/" + printable(target.substr(path_size)));
    return answer;
}

bool allows(std::string_view methods, std::string_view method) {
    return methods == change ? method == "POST" : method == "GET" || method == "HEAD";
}

Answer not_allowed(std::string_view methods) {
    Answer answer = error_answer(Fault::method_not_allowed, methods == change ? "Only POST is possible here."
                                                                              : "Only GET and HEAD are possible here.");
    answer.headers.emplace_back("Allow", methods);
    return answer;
}

/// Without its port.
std::string_view name_of_host(std::string_view host) {
    const std::size_t colon = host.rfind(':');
    return colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos ? host
                                                                                              : host.substr(0, colon);
}

/// A page of another origin can make a browser on this host send a request, and where no token is needed that would
/// be enough. Its name may even lead here (DNS rebinding), and it then reads the answer, too: so the name that is asked
/// for has to be one of loopback. Only programs name none.
bool comes_from_elsewhere(const RequestHead& head) {
    const std::string_view name = name_of_host(head.host);
    const bool is_ipv4 = name.find_first_not_of("0123456789.") == std::string_view::npos;
    const bool is_loopback =
        name.empty() || name == "localhost" || name == "[::1]" || (is_ipv4 && name.substr(0, 4) == "127.");
    return !is_loopback || (head.origin && *head.origin != "http://" + std::string(head.host));
}

std::optional<std::string_view> bearer_token(std::string_view authorization) {
    const std::size_t space = authorization.find(' ');
    if (!equal_ignoring_case(authorization.substr(0, space), "bearer") || space == std::string_view::npos)
        return std::nullopt;
    const std::size_t begin = authorization.find_first_not_of(' ', space);
    if (begin == std::string_view::npos) return std::nullopt;
    return authorization.substr(begin);
}

std::optional<Caller> authenticate(const RequestHead& head, const KeyRing* keys, WallClock::time_point now,
                                   std::string_view& reason) {
    if (keys == nullptr) return Caller{.user_id = 0, .role = Role::admin};
    reason = "there is none";
    if (!head.authorization) return std::nullopt;
    reason = "it is no bearer's";
    const auto token = bearer_token(*head.authorization);
    return token ? verify_token(*token, *keys, now, &reason) : std::nullopt;
}

Rejection forbidden(std::string_view message, std::string_view reason) {
    return {error_answer(Fault::forbidden, message), reason};
}

Rejection by(const Caller& caller, Rejection rejection) {
    rejection.caller = caller;
    return rejection;
}

std::optional<Rejection> refuse_role(Right right, Role role) {
    if (role == Role::admin) return std::nullopt;
    if (role == Role::student)
        return forbidden(right == Right::author ? "Only tutors and teachers may see an assignment's statistics."
                                                : "Students may not do this.",
                         "a student's role is not enough");
    if (right == Right::admin) return forbidden("Only an admin may do this.", "it takes an admin's role");
    return std::nullopt;
}

std::string_view nothing_there(Endpoint endpoint) {
    if (endpoint == Endpoint::job) return "There is no such job.";
    return endpoint == Endpoint::warm_teacher ? "There is no such teacher." : "There is no such assignment.";
}

std::optional<std::int64_t> positive_integer(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
    return number;
}

}  // namespace

std::vector<RoutedPath> routed_paths() {
    std::vector<RoutedPath> paths;
    for (const Route& route : routes) paths.push_back({route.pattern, route.methods});
    return paths;
}

bool takes_body(Endpoint endpoint) {
    return endpoint == Endpoint::warm || endpoint == Endpoint::warm_teacher || endpoint == Endpoint::invalidate;
}

Decision route(const RequestHead& head, const KeyRing* keys, WallClock::time_point now) {
    const std::string_view target = origin_form(head.target);
    const std::string_view path = target.substr(0, target.find('?'));
    const auto matched = match(path);
    if (!matched) return Rejection{error_answer(Fault::not_found, "There is no such page."), {}};
    if (matched->lacks_slash) return Rejection{redirect_to_slash(target, path.size()), {}};
    const Route& found = *matched->route;
    if (!allows(found.methods, head.method)) return Rejection{not_allowed(found.methods), {}};
    if (found.right == Right::anybody) return Call{.endpoint = found.endpoint, .file = matched->file};

    std::string_view reason;
    const auto caller = authenticate(head, keys, now, reason);
    if (!caller)
        return Rejection{error_answer(Fault::unauthorized, "A valid token is needed: `Authorization: Bearer TOKEN`."),
                         reason};
    if (keys == nullptr && comes_from_elsewhere(head))
        return forbidden(
            "Without --auth-key-file only localhost, 127.0.0.1 and [::1] are answered, and no pages of other origins.",
            "it comes from a page of another origin");
    if (auto refused = refuse_role(found.right, caller->role)) return by(*caller, std::move(*refused));
    if (found.pattern.find(id_mark) == std::string_view::npos)
        return Call{.endpoint = found.endpoint, .caller = *caller};
    const auto id = positive_integer(matched->id);
    if (!id) return Rejection{error_answer(Fault::not_found, nothing_there(found.endpoint)), {}};
    if (found.right == Right::teacher && caller->role != Role::admin && caller->user_id != *id)
        return by(*caller, forbidden("Only this teacher may do this.", "it is another teacher's"));
    return Call{.endpoint = found.endpoint, .id = *id, .caller = *caller};
}

}  // namespace larder::tools
