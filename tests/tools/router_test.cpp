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
    const auto* const answer = std::get_if<Answer>(&decision);
    return answer == nullptr ? 200 : answer->status;
}

std::string header(const Decision& decision, std::string_view name) {
    for (const auto& [key, value] : std::get<Answer>(decision).headers)
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
    for (const char* target : {"",
                               "/",
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
                               "http://",
                               "http://localhost",
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
    CHECK(call.assignment_id == 5);
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
