#include "tools/http/router.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "tools/http/answer.hpp"

using namespace larder;
using namespace larder::tools;
using namespace std::chrono_literals;

namespace {

const KeyRing keys = KeyRing::parse("0123456789abcdef0123456789abcdef");

struct Asked {
    std::string method = "GET";
    std::string target = "/api/assignments/1/analytics/";
    std::optional<std::string> authorization = {};
};

std::string bearer(Role role, std::int64_t user_id = 7) {
    return "Bearer " + make_token({.user_id = user_id, .role = role}, 1h, keys, WallClock::now());
}

Decision ask(const Asked& asked, const KeyRing* ring = &keys) {
    RequestHead head{.method = asked.method, .target = asked.target, .authorization = {}};
    if (asked.authorization) head.authorization = *asked.authorization;
    return route(head, ring, WallClock::now());
}

unsigned status(const Decision& decision) {
    const auto* const rejection = std::get_if<Rejection>(&decision);
    return rejection == nullptr ? 200 : rejection->answer.status;
}

std::string header(const Decision& decision, std::string_view name) {
    for (const auto& [key, value] : std::get<Rejection>(decision).answer.headers)
        if (key == name) return value;
    return {};
}

unsigned open(const std::string& target, const std::string& method = "GET") {
    return status(ask({.method = method, .target = target}, nullptr));
}

}  // namespace

TEST_CASE("known paths are found and no others", "[http]") {
    CHECK(open("/healthz") == 200);
    CHECK(open("/api/assignments/1/analytics/") == 200);
    CHECK(open("/api/assignments/1/cache_hit_rate/") == 200);
    CHECK(open("/api/assignments/1/analytics/?x=1&y=/") == 200);
    CHECK(open("http://localhost:8080/api/assignments/1/analytics/") == 200);
    for (const char* target : {"/", "/?x=1", "http://localhost", "/web/main.js", "/metrics", "/api/cache/events/"})
        CHECK(open(target) == 200);
    for (const char* target : {"",
                               "/index.html",
                               "/web",
                               "/web/",
                               "/web/index.html",
                               "/web/../tools/web/main.js",
                               "/web/main.js/",
                               "/metrics/",
                               "*",
                               "/healthz/",
                               "/healthzz",
                               "healthz",
                               "/api",
                               "/api/assignments/",
                               "/api/assignments/1",
                               "/api/assignments/1/",
                               "/api/assignments//analytics/",
                               "/api/assignments/1/analytics//",
                               "/api/assignments/1/other/",
                               "/api/assignments/1/2/analytics/",
                               "//api/assignments/1/analytics/",
                               "/API/assignments/1/analytics/",
                               "https://localhost/healthz",
                               "/api/assignments/1/analytics/more/"})
        CHECK(open(target) == 404);
}

TEST_CASE("a missing last slash is a redirect that keeps the query, before anything else is checked", "[http]") {
    const Decision decision = ask({.method = "POST", .target = "/api/assignments/12/analytics?x=1"});
    CHECK(status(decision) == 308);
    CHECK(header(decision, "Location") == "/api/assignments/12/analytics/?x=1");
    CHECK(open("/api/assignments/12/cache_hit_rate") == 308);
    CHECK(header(ask({.target = "http://else.where/api/assignments/12/analytics"}), "Location") ==
          "/api/assignments/12/analytics/");
    CHECK(header(ask({.target = "/api/assignments/\xff/analytics?a=\xf8%20\r\n"}), "Location") ==
          "/api/assignments/%FF/analytics/?a=%F8%20%0D%0A");
}

TEST_CASE("an id that is not a positive integer is not found", "[http]") {
    for (const char* id : {"0", "-1", "+1", "abc", "1.5", "1e3", "0x1", "%31", "1%20", " 1", "9223372036854775808",
                           "99999999999999999999999", "1;2", "1,2"})
        CHECK(open(std::string("/api/assignments/") + id + "/analytics/") == 404);
    CHECK(open("/api/assignments/9223372036854775807/analytics/") == 200);
}

TEST_CASE("other methods are refused with what is allowed", "[http]") {
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "FOO"}) {
        const Decision decision = ask({.method = method}, nullptr);
        CHECK(status(decision) == 405);
        CHECK(header(decision, "Allow") == "GET, HEAD");
    }
    CHECK(open("/healthz", "POST") == 405);
    CHECK(open("/healthz", "HEAD") == 200);
}

TEST_CASE("checks come in the order route, method, token, role, id", "[http]") {
    const std::string nowhere = "/api/nothing/abc/analytics/", no_id = "/api/assignments/abc/analytics/";
    CHECK(status(ask({.method = "POST", .target = nowhere})) == 404);
    CHECK(status(ask({.method = "POST", .target = no_id})) == 405);
    CHECK(status(ask({.target = no_id})) == 401);
    CHECK(status(ask({.target = no_id, .authorization = "Bearer nonsense"})) == 401);
    CHECK(status(ask({.target = no_id, .authorization = bearer(Role::student)})) == 403);
    CHECK(status(ask({.target = no_id, .authorization = bearer(Role::teacher)})) == 404);
    CHECK(status(ask({.authorization = bearer(Role::teacher)})) == 200);
}

TEST_CASE("a token comes as a bearer, or not at all", "[http]") {
    const std::string good = bearer(Role::tutor);
    const std::string bare = good.substr(7);
    CHECK(status(ask({.authorization = good})) == 200);
    CHECK(status(ask({.authorization = "bearer  " + bare})) == 200);
    const std::vector<std::string> wrong_ones{bare, "Basic " + bare, "Bearer", "Bearer ", "Bearer" + bare,
                                              "",   good + " x"};
    for (const std::string& wrong : wrong_ones) CHECK(status(ask({.authorization = wrong})) == 401);
    CHECK(header(ask({.authorization = "Bearer x"}), "WWW-Authenticate") == "Bearer");
    CHECK(status(ask({.target = "/healthz"})) == 200);
}

TEST_CASE("the caller is who the token names; without keys everybody is an admin", "[http]") {
    const Call call =
        std::get<Call>(ask({.target = "/api/assignments/5/cache_hit_rate/", .authorization = bearer(Role::tutor, 99)}));
    CHECK(call.endpoint == Endpoint::hit_rate);
    CHECK(call.id == 5);
    CHECK(call.caller.user_id == 99);
    CHECK(call.caller.role == Role::tutor);
    CHECK(std::get<Call>(ask({}, nullptr)).caller.role == Role::admin);
}

TEST_CASE("every refusal is a JSON error with the code of its status", "[http]") {
    const struct {
        Fault fault;
        unsigned status;
        std::string code;
    } rows[] = {{Fault::bad_request, 400, "bad_request"},
                {Fault::unauthorized, 401, "unauthorized"},
                {Fault::forbidden, 403, "forbidden"},
                {Fault::not_found, 404, "not_found"},
                {Fault::method_not_allowed, 405, "method_not_allowed"},
                {Fault::timeout, 408, "timeout"},
                {Fault::too_large, 413, "too_large"},
                {Fault::header_too_large, 431, "header_too_large"},
                {Fault::unavailable, 503, "unavailable"}};
    for (const auto& row : rows) {
        const Answer answer = error_answer(row.fault, "Why \"so\".");
        CHECK(answer.status == row.status);
        CHECK(answer.body() == R"({"error":{"code":")" + row.code + R"(","message":"Why \"so\"."}})");
    }
}

TEST_CASE("what steers the cache takes POST, and an admin's role", "[http]") {
    for (const char* target : {"/api/cache/warm/", "/api/cache/invalidate/"}) {
        INFO(target);
        CHECK(header(ask({.target = target}), "Allow") == "POST");
        CHECK(status(ask({.method = "POST", .target = target})) == 401);
        for (const Role role : {Role::student, Role::tutor, Role::teacher})
            CHECK(status(ask({.method = "POST", .target = target, .authorization = bearer(role)})) == 403);
        CHECK(status(ask({.method = "POST", .target = target, .authorization = bearer(Role::admin)})) == 200);
        CHECK(open(target, "POST") == 200);
    }
    CHECK(open("/api/cache/warm", "POST") == 308);
    CHECK(open("/api/cache/", "POST") == 404);
}

TEST_CASE("a teacher warms his own assignments, an admin everybody's", "[http]") {
    const auto warm = [](Role role, const std::string& id) {
        return status(
            ask({.method = "POST", .target = "/api/teachers/" + id + "/warm/", .authorization = bearer(role, 7)}));
    };
    CHECK(warm(Role::teacher, "7") == 200);
    CHECK(warm(Role::tutor, "7") == 200);
    CHECK(warm(Role::teacher, "8") == 403);
    CHECK(warm(Role::student, "7") == 403);
    CHECK(warm(Role::admin, "8") == 200);
    CHECK(warm(Role::teacher, "x") == 404);
}

TEST_CASE("a job is shown with and without a last slash, to all but students", "[http]") {
    for (const char* target : {"/api/cache/jobs/5", "/api/cache/jobs/5/"}) {
        CHECK(std::get<Call>(ask({.target = target, .authorization = bearer(Role::tutor)})).id == 5);
        CHECK(status(ask({.target = target, .authorization = bearer(Role::student)})) == 403);
        CHECK(status(ask({.target = target})) == 401);
    }
    CHECK(open("/api/cache/jobs/") == 200);
    CHECK(open("/api/cache/jobs/x") == 404);
    CHECK(open("/api/cache/jobs/5/6") == 404);
}

TEST_CASE("where nobody needs a token, pages of other origins see and change nothing", "[http]") {
    const bool is_change = GENERATE(true, false);
    const auto from = [is_change](const char* origin, const char* host, const KeyRing* ring = nullptr) {
        const std::string token = bearer(Role::admin);
        RequestHead head{.method = is_change ? "POST" : "GET",
                         .target = is_change ? "/api/cache/invalidate/" : "/api/assignments/1/analytics/",
                         .authorization = token,
                         .host = host};
        if (origin != nullptr) head.origin = origin;
        return status(route(head, ring, WallClock::now()));
    };
    CHECK(from(nullptr, "127.0.0.1:8080") == 200);
    CHECK(from("http://127.0.0.1:8080", "127.0.0.1:8080") == 200);
    CHECK(from("http://localhost:8080", "localhost:8080") == 200);
    CHECK(from("http://[::1]:8080", "[::1]:8080") == 200);
    CHECK(from("http://evil.example", "127.0.0.1:8080") == 403);
    CHECK(from("null", "127.0.0.1:8080") == 403);
    CHECK(from("http://127.0.0.1:9090", "127.0.0.1:8080") == 403);
    CHECK(from("http://evil.example:8080", "evil.example:8080") == 403);  // its name leads here
    CHECK(from("http://127.evil.example", "127.evil.example") == 403);
    CHECK(from(nullptr, "evil.example:8080") == 403);  // what a page asks its own origin for has none
    CHECK(from(nullptr, "") == 200);
    CHECK(from("https://school.example", "10.0.0.1", &keys) == 200);  // a token is not sent by itself
}

TEST_CASE("why a token is refused is for the log, and nothing of the token is in it", "[http]") {
    const auto reason = [](const std::optional<std::string>& authorization) {
        const Decision decision = ask({.authorization = authorization});
        return std::string(std::get<Rejection>(decision).reason);
    };
    CHECK(reason({}) == "there is none");
    CHECK(reason("Basic abc") == "it is no bearer's");
    CHECK(reason("Bearer abc") == "it is not a token");
    CHECK(reason(bearer(Role::student)) == "a student's role is not enough");
    const auto signed_by = [](const KeyRing& ring, std::chrono::milliseconds lifetime, WallClock::time_point at) {
        return "Bearer " + make_token({.user_id = 7, .role = Role::teacher}, lifetime, ring, at);
    };
    const KeyRing other = KeyRing::parse(std::string(32, 'x')), named = KeyRing::parse("k2:" + std::string(32, 'x'));
    CHECK(reason(signed_by(other, 1h, WallClock::now())) == "no key of ours has signed it");
    CHECK(reason(signed_by(keys, 1h, WallClock::now() - 2h)) == "it has expired, or is not valid yet");
    const Decision unknown_kid = [&] {
        const std::string token = signed_by(named, 1h, WallClock::now());
        const KeyRing ours = KeyRing::parse("k1:" + std::string(32, 'y'));
        return ask({.authorization = token}, &ours);
    }();
    CHECK(std::get<Rejection>(unknown_kid).reason == "no key of ours has the name that it gives");
    CHECK(std::get<Rejection>(ask({.target = "/nowhere"})).reason.empty());
}
