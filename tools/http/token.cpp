#include "tools/http/token.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <jwt/jwt.hpp>
#include <stdexcept>
#include <system_error>

namespace larder::tools {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 4> role_names{"student", "tutor", "teacher", "admin"};
constexpr std::size_t signature_chars = 43;  // 32 bytes in base64url

std::int64_t seconds_of(WallClock::time_point time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool is_base64url(std::string_view part) {
    return !part.empty() && part.size() % 4 != 1 && std::all_of(part.begin(), part.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    });
}

// The decoder of cpp-jwt indexes a table with a signed char and takes for granted that there are two dots: nothing but
// three parts of base64url may reach it.
bool has_form(std::string_view token) {
    if (token.size() > max_token_bytes) return false;
    const std::size_t first = token.find('.');
    if (first == std::string_view::npos) return false;
    const std::size_t second = token.find('.', first + 1);
    if (second == std::string_view::npos) return false;
    const std::string_view signature = token.substr(second + 1);
    return is_base64url(token.substr(0, first)) && is_base64url(token.substr(first + 1, second - first - 1)) &&
           signature.size() == signature_chars && is_base64url(signature);
}

// Throws on what is no JSON. REQUIRES: has_form.
Json part_of(std::string_view part) { return Json::parse(jwt::base64_uri_decode(part.data(), part.size())); }

Json header_of(std::string_view token) { return part_of(token.substr(0, token.find('.'))); }

Json claims_of(std::string_view token) {
    const std::size_t begin = token.find('.') + 1;
    return part_of(token.substr(begin, token.find('.', begin) - begin));
}

const Json* find(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

bool is_string(const Json* json, std::string_view text) {
    return json != nullptr && json->is_string() && json->get_ref<const std::string&>() == text;
}

// A media type, whose case does not matter (RFC 7519, 5.1); absent: it is taken for one.
bool is_jwt(const Json* type) {
    constexpr std::string_view name = "JWT";
    if (type == nullptr) return true;
    if (!type->is_string()) return false;
    const auto& text = type->get_ref<const std::string&>();
    return std::equal(text.begin(), text.end(), name.begin(), name.end(), [](char a, char b) {
        return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
    });
}

// The algorithm to the letter, and no extension that we would have to know.
bool is_pinned(const Json& header) {
    return header.is_object() && is_string(find(header, "alg"), "HS256") && is_jwt(find(header, "typ")) &&
           find(header, "crit") == nullptr;
}

std::string kid_of(const Json& header) {
    const Json* kid = find(header, "kid");
    if (kid == nullptr) return {};
    const auto& text = kid->get_ref<const std::string&>();  // throws on any other type
    if (text.empty()) throw std::invalid_argument("kid");
    return text;
}

// A whole number of seconds, written as an integer without a sign.
std::optional<std::uint64_t> seconds_claim(const Json& claims, const char* name) {
    const Json* claim = find(claims, name);
    if (claim == nullptr || !claim->is_number_unsigned()) return std::nullopt;
    return claim->get<std::uint64_t>();
}

// Also of those that are not asked for otherwise.
bool has_whole_times(const Json& claims) {
    for (const char* name : {"exp", "nbf", "iat"})
        if (find(claims, name) != nullptr && !seconds_claim(claims, name)) return false;
    return true;
}

bool is_in_time(const Json& claims, std::int64_t now) {
    const auto present = static_cast<std::uint64_t>(std::max<std::int64_t>(now, 0));
    const auto expiry = seconds_claim(claims, "exp");
    if (!expiry || *expiry <= present) return false;
    const auto not_before = seconds_claim(claims, "nbf");
    return !not_before || *not_before <= present;
}

std::optional<std::int64_t> user_of(const Json& claims) {
    const Json* claim = find(claims, "sub");
    if (claim == nullptr || !claim->is_string()) return std::nullopt;
    const auto& text = claim->get_ref<const std::string&>();
    if (text.empty() || text.front() < '0' || text.front() > '9' || (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    std::int64_t user_id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), user_id);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return user_id;
}

/// Why a token is refused, in the words of a log.
struct Refused {
    std::string_view reason;
};

Caller caller_of(const Json& claims, std::int64_t now) {
    if (find(claims, "aud") != nullptr) throw Refused{"it is for another audience"};
    if (!has_whole_times(claims)) throw Refused{"its times are no whole numbers"};
    if (!is_in_time(claims, now)) throw Refused{"it has expired, or is not valid yet"};
    const auto user_id = user_of(claims);
    if (!user_id) throw Refused{"its `sub` is no user's number"};
    const Json* role_claim = find(claims, "role");
    const auto role = role_claim != nullptr && role_claim->is_string()
                          ? role_from(role_claim->get_ref<const std::string&>())
                          : std::nullopt;
    if (!role) throw Refused{"its `role` is none of ours"};
    return Caller{.user_id = *user_id, .role = *role};
}

// The signature and nothing else: what decodes a token in cpp-jwt also judges its times, by the machine's clock.
// REQUIRES: has_form.
bool is_signed_with(const Key& key, std::string_view token) {
    const auto text = [](std::string_view part) { return jwt::string_view(part.data(), part.size()); };
    const std::size_t dot = token.rfind('.');
    return jwt::HMACSign<jwt::algo::HS256>::verify(text(key.secret), text(token.substr(0, dot)),
                                                   text(token.substr(dot + 1)))
        .first;
}

Caller verify(std::string_view token, const KeyRing& keys, std::int64_t now) {
    const Json header = header_of(token);
    if (!is_pinned(header)) throw Refused{"its header names another algorithm, type or extension"};
    const Json claims = claims_of(token);
    if (!claims.is_object()) throw Refused{"its claims are no object"};
    const std::vector<const Key*> candidates = keys.candidates(kid_of(header));
    if (candidates.empty()) throw Refused{"no key of ours has the name that it gives"};
    for (const Key* key : candidates)
        if (is_signed_with(*key, token)) return caller_of(claims, now);
    throw Refused{"no key of ours has signed it"};
}

}  // namespace

std::string_view name_of(Role role) { return role_names[static_cast<std::size_t>(role)]; }

std::string name_of(const Caller& caller) {
    return "user " + std::to_string(caller.user_id) + " (" + std::string(name_of(caller.role)) + ")";
}

std::optional<Caller> verify_token(std::string_view token, const KeyRing& keys, WallClock::time_point now,
                                   std::string_view* reason) noexcept {
    std::string_view why = "it is not a token";
    try {
        if (has_form(token)) return verify(token, keys, seconds_of(now));
    } catch (const Refused& refused) {
        why = refused.reason;
    } catch (...) {}  // what is no JSON throws: whatever it is, the token is not valid
    if (reason != nullptr) *reason = why;
    return std::nullopt;
}

std::string make_token(const Caller& caller, std::chrono::milliseconds lifetime, const KeyRing& keys,
                       WallClock::time_point now) {
    const Key& key = keys.signing_key();
    jwt::jwt_object token{jwt::params::algorithm("HS256"),
                          jwt::params::secret(jwt::string_view(key.secret.data(), key.secret.size()))};
    if (!key.id.empty()) token.header().add_header("kid", key.id);
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
    token.add_claim("sub", std::to_string(caller.user_id));
    token.add_claim("role", std::string(name_of(caller.role)));
    token.add_claim("exp", static_cast<std::uint64_t>(seconds_of(now) + whole));
    std::error_code error;
    std::string text = token.signature(error);
    if (error) throw std::runtime_error("the token could not be signed: " + error.message());
    return text;
}

}  // namespace larder::tools
