// The keys of larder top.
#include "tools/top_input.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace larder::tools;
using namespace std::chrono_literals;

namespace {

TopAction press_all(TopChoice& choice, const std::u32string& keys) {
    TopAction last = TopAction::show;
    for (const char32_t key : keys) last = press(choice, key, 10);
    return last;
}

}  // namespace

TEST_CASE("n and N choose the column to sort by, round and round", "[top]") {
    TopChoice choice;
    press_all(choice, U"n");
    CHECK(choice.sort == SortBy::hit_share);
    press_all(choice, U"NN");
    CHECK(choice.sort == SortBy::name);
    press_all(choice, U"n");
    CHECK(choice.sort == SortBy::lookups);
}

TEST_CASE("v, Tab and numbers choose the part, from its beginning", "[top]") {
    TopChoice choice;
    choice.scroll = 7;
    press_all(choice, U"v");
    CHECK(choice.part == Part::keys);
    CHECK(choice.scroll == 0);
    press_all(choice, U"V");
    CHECK(choice.part == Part::overview);
    press_all(choice, U"4");
    CHECK(choice.part == Part::processes);
    press_all(choice, U"69");
    CHECK(choice.part == Part::processes);
    press_all(choice, U"\t\t");
    CHECK(choice.part == Part::overview);
}

TEST_CASE("p pauses, and looks when it goes on; space looks at any time", "[top]") {
    TopChoice choice;
    CHECK(press_all(choice, U"p") == TopAction::show);
    CHECK(choice.is_paused);
    CHECK(press_all(choice, U" ") == TopAction::look);
    CHECK(choice.is_paused);
    CHECK(press_all(choice, U"p") == TopAction::look);
    CHECK_FALSE(choice.is_paused);
}

TEST_CASE("+ and - choose among intervals, within bounds", "[top]") {
    TopChoice choice;
    press_all(choice, U"-");
    CHECK(choice.interval == 2s);
    press_all(choice, U"++");
    CHECK(choice.interval == 500ms);
    press_all(choice, U"++++++++");
    CHECK(choice.interval == 100ms);
    press_all(choice, U"--------------");
    CHECK(choice.interval == 60s);
    choice.interval = 1h;
    press_all(choice, U"-");
    CHECK(choice.interval == 1h);
    choice.interval = 700ms;
    press_all(choice, U"+");
    CHECK(choice.interval == 500ms);
}

TEST_CASE("A filter is typed, taken, given up and taken away", "[top]") {
    TopChoice choice;
    press_all(choice, U"/pq");  // q is a letter here
    CHECK(choice.is_typing_filter);
    press(choice, kBackspace, 10);
    press_all(choice, U"\u00fc");
    CHECK(choice.typed == "p\xc3\xbc");
    CHECK(choice.filter.empty());
    CHECK(press(choice, kEnter, 10) == TopAction::filter);
    CHECK(choice.filter == "p\xc3\xbc");
    CHECK_FALSE(choice.is_typing_filter);
    press_all(choice, U"/x");
    CHECK(press(choice, kEscape, 10) == TopAction::show);
    CHECK(choice.filter == "p\xc3\xbc");
    press_all(choice, U"/");
    for (int n = 0; n < 5; ++n) press(choice, kBackspace, 10);
    CHECK(press(choice, kEnter, 10) == TopAction::filter);
    CHECK(choice.filter.empty());
    choice.filter = "a";
    CHECK(press(choice, kEscape, 10) == TopAction::filter);
    CHECK(choice.filter.empty());
}

TEST_CASE("What is typed has the length of a key at most, and no controls", "[top]") {
    TopChoice choice;
    press_all(choice, U"/");
    press(choice, 1, 10);
    press(choice, kUp, 10);
    CHECK(choice.typed.empty());
    for (int n = 0; n < 3'000; ++n) press(choice, 'x', 10);
    CHECK(choice.typed.size() <= 1'024);
}

TEST_CASE("Arrows and pages scroll, never above the first line", "[top]") {
    TopChoice choice;
    press(choice, kDown, 10);
    press(choice, kPageDown, 10);
    press_all(choice, U"j");
    CHECK(choice.scroll == 12);
    press(choice, kPageUp, 10);
    press(choice, kUp, 10);
    press_all(choice, U"kk");
    CHECK(choice.scroll == 0);
    press(choice, kEnd, 10);
    press(choice, kPageDown, 10);
    CHECK(choice.scroll > 1'000'000);
    press(choice, kHome, 10);
    CHECK(choice.scroll == 0);
}

TEST_CASE("h shows the help, and q quits", "[top]") {
    TopChoice choice;
    press_all(choice, U"h");
    CHECK(choice.shows_help);
    press(choice, kEscape, 10);
    CHECK_FALSE(choice.shows_help);
    press_all(choice, U"?");
    CHECK(choice.shows_help);
    press_all(choice, U"?");
    CHECK_FALSE(choice.shows_help);
    CHECK(press(choice, 12, 10) == TopAction::redraw);
    CHECK(press_all(choice, U"x") == TopAction::show);
    CHECK(press_all(choice, U"q") == TopAction::quit);
}
