// What the messages of the stream say.
#include "core/nats/notice_message.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <numeric>

using namespace larder;
using namespace larder::nats;
using Kind = NoticeMessage::Kind;

TEST_CASE("a message is one line, and is read as it was written", "[nats]") {
    CHECK(encode({.kind = Kind::changed, .ids = {12, 15}}) == "larder/1 changed 12 15");
    CHECK(encode({.text = "all of it"}) == "larder/1 everything all of it");
    CHECK(encode({.kind = Kind::position, .position = 4711, .text = "a/b/c"}) == "larder/1 position 4711 a/b/c");
    CHECK(encode({.kind = Kind::ask, .question = 7}) == "larder/1 ask 7");
    const NoticeMessage looked{.kind = Kind::looked, .question = 7, .sequence = 99, .position = -1, .text = "S/5"};
    CHECK(encode(looked) == "larder/1 looked 7 99 -1 S/5");
    const auto read = decode(encode(looked));
    REQUIRE(read);
    CHECK((read->kind == Kind::looked && read->question == 7 && read->sequence == 99 && read->position == -1));
    CHECK(read->text == "S/5");
    CHECK(decode("larder/1 everything")->kind == Kind::everything);
    const std::vector<AssignmentId> ends{1, std::numeric_limits<AssignmentId>::max()};
    CHECK(decode(encode({.kind = Kind::published, .ids = ends}))->ids == ends);
}

TEST_CASE("many ids are several messages, none twice", "[nats]") {
    std::vector<AssignmentId> ids(2 * max_ids_of_message + 1), read;
    std::iota(ids.begin(), ids.end(), 1);
    const std::vector<std::string> lines = encode(Kind::changed, ids);
    CHECK(lines.size() == 3);
    for (const std::string& line : lines) {
        const auto message = decode(line);
        REQUIRE((message && message->kind == Kind::changed));
        read.insert(read.end(), message->ids.begin(), message->ids.end());
    }
    CHECK(read == ids);
    CHECK(encode(Kind::changed, {}).empty());
}

TEST_CASE("what is not a message of this version is not read", "[nats]") {
    for (const char* line : {"", "larder/1", "larder/1 ", "larder/2 changed 1", "larder/1 renamed 1",
                             "larder/1 changed", "larder/1 changed x", "larder/1 changed 1 2x", "larder/1 changed 1  2",
                             "larder/1 changed 99999999999999999999", "larder/1 position", "larder/1 looked 1 2",
                             "larder/1 looked 1 -2 3 S", "changed 1"}) {
        INFO(line);
        CHECK_FALSE(decode(line));
    }
    const std::vector<AssignmentId> many(max_ids_of_message + 1, 1);
    CHECK_FALSE(decode(encode({.kind = Kind::changed, .ids = many})));
}
