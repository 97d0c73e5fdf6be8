// The word that somebody meant who mistyped it.
#include "tools/nearest_word.hpp"

#include <catch2/catch.hpp>

using namespace larder;
using tools::edits_between;
using tools::nearest_word;

TEST_CASE("edits are letters added, removed, replaced, or swapped with their neighbour", "[cli]") {
    CHECK(edits_between("", "") == 0);
    CHECK(edits_between("", "get") == 3);
    CHECK(edits_between("get", "get") == 0);
    CHECK(edits_between("get", "gets") == 1);
    CHECK(edits_between("stta", "stat") == 1);
    CHECK(edits_between("put", "get") == 2);
    CHECK(edits_between("kitten", "sitting") == 3);
}

TEST_CASE("the nearest word is within two edits, or is the only one begun so", "[cli]") {
    const std::vector<std::string> words = {"import", "invalidate", "ls", "rm", "stat", "serve"};
    CHECK(nearest_word("improt", words) == "import");
    CHECK(nearest_word("inv", words) == "invalidate");
    CHECK(nearest_word("s", words).empty());
    CHECK(nearest_word("status", words) == "stat");
    CHECK(nearest_word("sl", words) == "ls");
    CHECK(nearest_word("xy", words).empty());
    CHECK(nearest_word("nonsense", words).empty());
    CHECK(nearest_word("", words).empty());
    const std::vector<std::string> keys = {"listen", "log-level", "log-format", "ttl-min", "ttl-max", "log"};
    CHECK(nearest_word("level", keys) == "log-level");
    CHECK(nearest_word("listen-address", keys) == "listen");
    CHECK(nearest_word("logging", keys) == "log");
    CHECK(nearest_word("ttl-", keys).empty());  // two
    CHECK(nearest_word("evel-", keys).empty());
    CHECK(nearest_word(std::string(100'000, 's'), words).empty());
}
