#include "core/sql_tokens.hpp"

#include <catch2/catch.hpp>

using namespace larder;
using Tokens = std::vector<std::string>;

TEST_CASE("a statement is the same tokens however it is spelled") {
    const Tokens tokens{"insert", "into", "my \"own\" table", "(", "a]", ")", "select", "it's", ",", "new", ".", "x1"};
    CHECK(sql_tokens("INSERT INTO \"my \"\"own\"\" table\"(`A]`) SELECT 'it''s',NEW.x1") == tokens);
    CHECK(sql_tokens("insert--x'\n into/* \" */[MY \"own\" Table] (\"a]\")\tselect 'It''s' , new . X1 -- end") ==
          tokens);
}

TEST_CASE("what does not end is a token to the end, and an empty statement is none") {
    CHECK(sql_tokens("").empty());
    CHECK(sql_tokens("/* never").empty());
    CHECK(sql_tokens("/*").empty());
    CHECK(sql_tokens("--").empty());
    for (const std::string open : {"'", "\"", "`", "[", "'a", "[a", "'a''", "\"\"\""}) {
        INFO(open);
        CHECK(sql_token_length(open) == open.size());
        CHECK(sql_tokens("x " + open).size() == 2);
    }
}
