#include "tools/http/router.hpp"

#include <charconv>
#include <string>
#include <system_error>

namespace larder::tools {
namespace {

constexpr std::string_view prefix = "/api/assignments/";

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
    }
    return true;
}

struct Route {
    Endpoint endpoint = Endpoint::health;
    std::string_view id;
    bool lacks_slash = false;
};

std::optional<Endpoint> endpoint_named(std::string_view name) {
    if (name == "analytics") return Endpoint::analytics;
    if (name == "cache_hit_rate") return Endpoint::hit_rate;
    return std::nullopt;
}

std::optional<Route> match(std::string_view path) {
    if (path == "/healthz") return Route{.endpoint = Endpoint::health};
    if (path.substr(0, prefix.size()) != prefix) return std::nullopt;
    path.remove_prefix(prefix.size());
    const std::size_t slash = path.find('/');
    if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
    std::string_view name = path.substr(slash + 1);
    const bool lacks_slash = name.empty() || name.back() != '/';
    if (!lacks_slash) name.remove_suffix(1);
    const auto endpoint = endpoint_named(name);
    if (!endpoint) return std::nullopt;
    return Route{.endpoint = *endpoint, .id = path.substr(0, slash), .lacks_slash = lacks_slash};
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

Answer not_allowed() {
    Answer answer = error_answer(Fault::method_not_allowed, "Only GET and HEAD are possible here.");
    answer.headers.emplace_back("Allow", "GET, HEAD");
    return answer;
}

std::optional<std::string_view> bearer_token(std::string_view authorization) {
    const std::size_t space = authorization.find(' ');
    if (!equal_ignoring_case(authorization.substr(0, space), "bearer") || space == std::string_view::npos)
        return std::nullopt;
    const std::size_t begin = authorization.find_first_not_of(' ', space);
    if (begin == std::string_view::npos) return std::nullopt;
    return authorization.substr(begin);
}

std::optional<Caller> authenticate(const RequestHead& head, const KeyRing* keys, WallClock::time_point now) {
    if (keys == nullptr) return Caller{.user_id = 0, .role = Role::admin};
    if (!head.authorization) return std::nullopt;
    const auto token = bearer_token(*head.authorization);
    return token ? verify_token(*token, *keys, now) : std::nullopt;
}

std::optional<std::int64_t> positive_integer(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
    return number;
}

}  // namespace

Decision route(const RequestHead& head, const KeyRing* keys, WallClock::time_point now) {
    const std::string_view target = origin_form(head.target);
    const std::string_view path = target.substr(0, target.find('?'));
    const auto matched = match(path);
    if (!matched) return error_answer(Fault::not_found, "There is no such page.");
    if (matched->lacks_slash) return redirect_to_slash(target, path.size());
    if (head.method != "GET" && head.method != "HEAD") return not_allowed();
    if (matched->endpoint == Endpoint::health) return Call{.endpoint = Endpoint::health};

    const auto caller = authenticate(head, keys, now);
    if (!caller) return error_answer(Fault::unauthorized, "A valid token is needed: `Authorization: Bearer TOKEN`.");
    if (caller->role == Role::student)
        return error_answer(Fault::forbidden, "Only tutors and teachers may see an assignment's statistics.");
    const auto id = positive_integer(matched->id);
    if (!id) return error_answer(Fault::not_found, "There is no such assignment.");
    return Call{.endpoint = matched->endpoint, .assignment_id = *id, .caller = *caller};
}

}  // namespace larder::tools
