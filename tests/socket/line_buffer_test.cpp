#include "shm/socket/line_buffer.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace larder::shm;
using Found = LineBuffer::Found;

namespace {

void feed(LineBuffer& buffer, std::string_view bytes) {
    const std::span<char> room = buffer.room(bytes.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    buffer.commit(bytes.size());
}

std::vector<std::string> lines_in(LineBuffer& buffer) {
    std::vector<std::string> lines;
    std::string_view line;
    while (buffer.next(line) == Found::line) lines.emplace_back(line);
    return lines;
}

}  // namespace

TEST_CASE("Lines come out in order, in whatever pieces they came in", "[socket][tsan]") {
    const std::string text = "one\ntwo\r\n\nfour";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        CAPTURE(piece);
        LineBuffer buffer(10);
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            feed(buffer, std::string_view(text).substr(at, piece));
            for (std::string& line : lines_in(buffer)) lines.push_back(std::move(line));
        }
        CHECK(lines == std::vector<std::string>{"one", "two", ""});
        buffer.finish();
        CHECK(lines_in(buffer) == std::vector<std::string>{"four"});
        CHECK(lines_in(buffer).empty());
    }
}

TEST_CASE("A stream that ends with LF has no line after it", "[socket][tsan]") {
    LineBuffer buffer(10);
    feed(buffer, "one\n");
    buffer.finish();
    CHECK(lines_in(buffer) == std::vector<std::string>{"one"});
}

TEST_CASE("A line is too long as soon as it has one byte too many, and its end does not count", "[socket][tsan]") {
    for (const auto& [text, found] : std::vector<std::pair<std::string, Found>>{{"12345\n", Found::line},
                                                                                {"12345\r\n", Found::line},
                                                                                {"12345", Found::nothing},
                                                                                {"12345\r", Found::nothing},
                                                                                {"123456", Found::too_long},
                                                                                {"123456\n", Found::too_long},
                                                                                {"12345\r1", Found::too_long}}) {
        CAPTURE(text);
        LineBuffer buffer(5);
        feed(buffer, text);
        std::string_view line;
        CHECK(buffer.next(line) == found);
        if (found == Found::too_long) CHECK(buffer.next(line) == Found::too_long);
    }
}
