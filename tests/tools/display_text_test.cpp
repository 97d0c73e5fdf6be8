// Text by the columns that it takes on a terminal.
#include "tools/display_text.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace larder::tools;

namespace {

std::string shown(const std::string& text, Alphabet alphabet = Alphabet::utf8) {
    return displayable(text, 80, alphabet);
}

const std::string wide = "\xe6\xbc\xa2\xe5\xad\x97";  // two characters of two columns each
const std::string accent = "e\xcc\x81";               // a mark that is set over the letter before

}  // namespace

TEST_CASE("Each character of displayable text takes one column or two", "[top]") {
    CHECK(shown("key:1") == "key:1");
    CHECK(shown("a\x1b[2Jb\n") == "a\\x1b[2Jb\\x0a");
    CHECK(shown(wide) == wide);
    CHECK(columns_of(wide) == 4);
    CHECK(shown(accent) == "e\\u{0301}");
    CHECK(shown("\xff") == "\\xff");
    CHECK(shown("\xe2\x80\x8b") == "\\u{200b}");  // zero width
    CHECK(columns_of("gr\xc3\xbc\xc3\x9f") == 4);
}

TEST_CASE("What takes a column and is not seen is written out", "[top]") {
    CHECK(shown("a\xc2\xad-") == "a\\u{00ad}-");
    CHECK(shown("\xe2\xa0\x80\xe3\x85\xa4") == "\\u{2800}\\u{3164}");
}

TEST_CASE("A terminal that has ASCII alone is given nothing else", "[top]") {
    CHECK(shown("gr\xc3\xbc\xc3\x9f", Alphabet::ascii) == "gr\\u{00fc}\\u{00df}");
    CHECK(shown(wide, Alphabet::ascii) == "\\u{6f22}\\u{5b57}");
    CHECK(shown("key:1", Alphabet::ascii) == "key:1");
}

TEST_CASE("Text is cut by columns, and says so", "[top]") {
    CHECK(cut("abcdef", 6) == "abcdef");
    CHECK(cut("abcdef", 5) == "abcd~");
    CHECK(cut("abcdef", 1) == "~");
    CHECK(cut("abcdef", 0) == "");
    CHECK(cut(wide, 4) == wide);
    CHECK(cut(wide, 3) == wide.substr(0, 3) + "~");
    CHECK(cut(wide, 2) == "~");  // a half of a character is none
    CHECK(cut_left("ab", 4) == "ab  ");
    CHECK(cut_right("ab", 4) == "  ab");
    CHECK(cut_left(wide, 3) == wide.substr(0, 3) + "~");
    CHECK(cut_right(wide, 2) == " ~");
}

TEST_CASE("A key of any length is cut to the window without reading all of it", "[top]") {
    const std::string key(1'024, '\x01');
    CHECK(columns_of(cut(displayable(key, 40, Alphabet::utf8), 40)) == 40);
    CHECK(displayable(key, 40, Alphabet::utf8).size() < 200);
}

TEST_CASE("Lines are broken at spaces", "[top]") {
    using Lines = std::vector<std::string>;
    CHECK(wrapped("one two three", 7, 5) == Lines{"one two", "three"});
    CHECK(wrapped("one two three", 80, 5) == Lines{"one two three"});
    CHECK(wrapped("one two three", 7, 1) == Lines{"one tw~"});
    CHECK(wrapped("one two three four", 7, 2) == Lines{"one two", "three ~"});
    CHECK(wrapped("abcdefghij k", 4, 5) == Lines{"abc~", "k"});
    CHECK(wrapped("", 4, 5) == Lines{""});
}
