#include "tools/terminal.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "tools/json_lines.hpp"

using namespace larder::tools;
namespace json = boost::json;

TEST_CASE("text for a terminal cannot act on it", "[tools][tsan]") {
    CHECK(escaped("plain key:1") == "plain key:1");
    CHECK(escaped("\x1b[2J\n\r\t\x7f") == "\\x1b[2J\\x0a\\x0d\\x09\\x7f");
    CHECK(escaped(std::string("a\0b", 3)) == "a\\x00b");
    CHECK(escaped("back\\slash") == "back\\\\slash");
    CHECK(escaped("\xc2\x9b"
                  "2J") == "\\u{009b}2J");  // C1: acts as ESC [
    CHECK(escaped("\xe2\x80\xae"
                  "txt") == "\\u{202e}txt");                       // turns the direction of what follows
    CHECK(escaped("\xff\xc3(") == "\\xff\\xc3(");                  // not UTF-8
    CHECK(escaped("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
    CHECK(escaped("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");  // letters stay
}

TEST_CASE("long text is cut by characters, not by bytes", "[tools][tsan]") {
    CHECK(escaped("abcdef", 3) == "abc...");
    CHECK(escaped("\xc3\xbc\xc3\xbc", 1) == "\xc3\xbc...");
    CHECK(escaped("abc", 3) == "abc");
}

TEST_CASE("base64 is that of RFC 4648", "[tools][tsan]") {
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foobar") == "Zm9vYmFy");
    CHECK(base64("\xff\xfe") == "//4=");
}

TEST_CASE("JSON is one line that means what was given", "[tools][tsan]") {
    const json::object object{{"text", "a\n\x7f\xc2\x85\"\\"},
                              {"ratio", 0.25},
                              {"count", 3},
                              {"none", nullptr},
                              {"list", json::array{1, "x", true}}};
    const std::string text = json_text(object);
    CHECK(text == R"({"text":"a\n\u007f\u0085\"\\","ratio":0.25,"count":3,"none":null,"list":[1,"x",true]})");
    CHECK(json::parse(text) == json::value(object));
}

TEST_CASE("bytes that are not UTF-8 change the member's name", "[tools][tsan]") {
    json::object object;
    put_text(object, "key", "k:1");
    put_text(object, "other", "\xff");
    CHECK(object == json::object{{"key", "k:1"}, {"other_base64", "/w=="}});
}
