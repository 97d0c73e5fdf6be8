#include "shm/socket/protocol.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace larder::shm;

namespace {

struct Case {
    std::string line;
    Verb verb;
    std::vector<std::string> args;
};

std::string error_of(std::string_view line) {
    const ParsedLine parsed = parse_request(line);
    return parsed.request ? "no error" : parsed.error;
}

std::string bytes_of(std::initializer_list<int> values) {
    std::string bytes;
    for (const int value : values) bytes += static_cast<char>(value);
    return bytes;
}

}  // namespace

TEST_CASE("A line is a verb and its arguments", "[socket][protocol][tsan]") {
    const std::vector<Case> cases{
        {"invalidate k", Verb::invalidate, {"k"}},
        {"invalidate assignment_stats:123 assignment_stats:124",
         Verb::invalidate,
         {"assignment_stats:123", "assignment_stats:124"}},
        {"invalidate a%20b %25 %0a%00", Verb::invalidate, {"a b", "%", bytes_of({'\n', 0})}},
        {"invalidate %C3%a9 \xc3\xa9", Verb::invalidate, {"\xc3\xa9", "\xc3\xa9"}},
        {"invalidate k\r", Verb::invalidate, {"k"}},
        {"  invalidate   k  ", Verb::invalidate, {"k"}},
        {"invalidate-tag author:7", Verb::invalidate_tag, {"author:7"}},
        {"invalidate-namespace assignment_stats", Verb::invalidate_namespace, {"assignment_stats"}},
        {"invalidate-all", Verb::invalidate_all, {}},
        {"ping", Verb::ping, {}},
        {"stat\r", Verb::stat, {}},
        {"invalidate " + std::string(1024, 'k'), Verb::invalidate, {std::string(1024, 'k')}},
        {"invalidate-tag " + std::string(256, 't'), Verb::invalidate_tag, {std::string(256, 't')}},
    };
    for (const Case& expected : cases) {
        CAPTURE(expected.line);
        const ParsedLine parsed = parse_request(expected.line);
        REQUIRE(parsed.error == "");
        REQUIRE(parsed.request);
        CHECK(parsed.request->verb == expected.verb);
        CHECK(parsed.request->args == expected.args);
    }
}

TEST_CASE("Anything else is an error that says what to write", "[socket][protocol][tsan]") {
    CHECK(error_of("") == "an empty line; send VERB ARG..., for example: invalidate KEY");
    CHECK(error_of(" \r") == error_of(""));
    CHECK(error_of("invalidate") == "invalidate needs at least one key: invalidate KEY...");
    CHECK(error_of("invalidate-tag") == "invalidate-tag takes exactly one tag: invalidate-tag NAME");
    CHECK(error_of("invalidate-tag a b") == error_of("invalidate-tag"));
    CHECK(error_of("invalidate-all x") == "invalidate-all takes no arguments");
    CHECK(error_of("ping x") == "ping takes no arguments");
    CHECK(error_of("INVALIDATE k").find("unknown verb `INVALIDATE`") == 0);
    CHECK(error_of(bytes_of({'a', 0, 27, 'b'})).find("unknown verb `a%00%1Bb`") == 0);
    CHECK(error_of("invalidate " + std::string(1025, 'k')) == "a key has 1 to 1024 bytes, not 1025");
    CHECK(error_of("invalidate-tag " + std::string(257, 't')) == "a tag has 1 to 256 bytes, not 257");
    CHECK(error_of("invalidate-namespace a:b").find("text of a key before its first `:`") != std::string::npos);
    for (const std::string arg : {"%", "%4", "%4g", "%-1", "%+1", "a%zz", "a\tb", "\x7f", "a\rb"}) {
        CAPTURE(arg);
        CHECK(error_of("invalidate ok " + arg).find("write bytes up to 0x20, 0x7f and % as %XX") != std::string::npos);
    }
}

TEST_CASE("An error repeats no more than the beginning of a long line", "[socket][protocol][tsan]") {
    CHECK(error_of(std::string(60'000, 'x')).size() < 300);
    CHECK(error_of("invalidate " + std::string(60'000, '\t')).size() < 300);
}

TEST_CASE("Whatever bytes an argument has, it comes out as it went in", "[socket][protocol][tsan]") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 500; ++round) {
        std::string bytes(1 + random() % 200, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random());
        const std::string text = encode_argument(bytes);
        REQUIRE(text.find_first_of(std::string(" \t\r\n\x7f\0", 6)) == std::string::npos);
        REQUIRE(decode_argument(text) == bytes);
        const std::string_view args[] = {bytes, "x"};
        const ParsedLine parsed = parse_request(request_line(Verb::invalidate, args));
        REQUIRE(parsed.request);
        REQUIRE(parsed.request->args == std::vector<std::string>{bytes, "x"});
    }
}

TEST_CASE("Answers are one line each and read back as they were meant", "[socket][protocol][tsan]") {
    CHECK(ok_answer() == "ok\n");
    CHECK(ok_answer(4712) == "ok notice=4712\n");
    CHECK(ok_answer(2, 4711) == "ok 2 notice=4711\n");
    CHECK(ok_answer(std::string_view("{\n\"a\": 1}")) == "ok { \"a\": 1}\n");
    CHECK(error_answer("two\r\nlines") == "error two  lines\n");

    CHECK(parse_answer("ok")->ok);
    CHECK(parse_answer("ok notice=4712\r")->notice == 4712);
    CHECK(parse_answer("ok 2 notice=18446744073709551615")->notice == ~std::uint64_t{0});
    CHECK(parse_answer("ok {\"x\": \"notice=7\"}")->notice == 0);
    for (const char* no_number : {"ok notice=", "ok notice=7x", "ok notice=x7", "ok notice=18446744073709551616"})
        CHECK(parse_answer(no_number)->notice == 0);
    CHECK_FALSE(parse_answer("error no")->ok);
    CHECK(parse_answer("error no notice=1")->text == "no notice=1");
    CHECK(parse_answer("error no notice=1")->notice == 0);
    for (const std::string_view strange : {"", "okay", "HTTP/1.1 400 Bad Request", " ok"})
        CHECK_FALSE(parse_answer(strange));
}
