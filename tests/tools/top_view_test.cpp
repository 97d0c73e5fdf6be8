// What larder top shows of a snapshot, in windows of all sizes.
#include "tools/top_view.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace larder::tools;
using namespace std::chrono_literals;
using larder::shm::EntryState;

namespace {

KeyHeat key_of(const std::string& text, double hits, double misses, std::uint64_t bytes = 100) {
    KeyHeat key;
    key.hash = 0xabc;
    key.text = text;
    key.hits = hits;
    key.misses = misses;
    key.state = EntryState::live;
    key.value_bytes = bytes;
    key.ttl_ms = 299'000;
    key.age_ms = 1'000;
    return key;
}

PrefixHeat prefix_of(const std::string& text, double hits, double misses, std::uint64_t keys) {
    return {PrefixHeat::Kind::named, text, hits, misses, keys};
}

TopSnapshot busy() {
    TopSnapshot snapshot;
    snapshot.cache = "pages";
    snapshot.made_ms = 190'000;
    snapshot.segment_bytes = 256 << 20;
    snapshot.looks_of_a_walk = 4;
    snapshot.verdicts = {{true, "Evicted at age 41.0s under a TTL of 5m00s: the cache is too small."}};
    snapshot.keys = {key_of("page:1", 90, 10, 500), key_of("user:7", 300, 0, 200), key_of("page:2", 5, 45, 900)};
    snapshot.prefixes = {prefix_of("page", 95, 55, 2), prefix_of("user", 300, 0, 1)};
    snapshot.processes = {{4711, "worker", "app", 60'000, 2, 1, "writes shard 3"}};
    snapshot.leases = {{1, "page:2", 4711, 3, 1'500, 8'500}};
    return snapshot;
}

std::vector<std::string> lines_of(const TopSnapshot& snapshot, const TopChoice& choice = {},
                                  const Window& window = {}) {
    std::vector<std::string> lines;
    for (const StyledLine& line : top_page(snapshot, choice, window).lines) lines.push_back(line.text);
    return lines;
}

std::string text_of(const TopSnapshot& snapshot, const TopChoice& choice = {}, const Window& window = {}) {
    std::string text;
    for (const std::string& line : lines_of(snapshot, choice, window)) text += line + "\n";
    return text;
}

/// The last words of the lines below the heading of a table alone.
std::vector<std::string> rows_of(const TopSnapshot& snapshot, TopChoice choice) {
    std::vector<std::string> rows;
    bool below = false;
    for (const StyledLine& line : top_page(snapshot, choice, {}).lines) {
        if (below && line.style == Style::plain && !line.text.empty())
            rows.push_back(line.text.substr(line.text.rfind(' ') + 1));
        below |= line.style == Style::heading;
    }
    return rows;
}

}  // namespace

TEST_CASE("A page tells rates, hottest prefixes and keys, processes, computations, and what is wrong", "[top]") {
    const std::string text = text_of(busy(), {}, {40, 120});
    for (const char* const part : {"larder top: pages  every 1.0s  256.0MiB, made 3m10s ago", "lookups/s", "puts/s",
                                   "! Evicted at age 41.0s under a TTL of 5m00s: the cache is too small.",
                                   "a walk of keys takes 4 looks", "PREFIX", "user:\n", "*LOOKUPS/s", "user:7\n",
                                   "4711  worker", "writes shard 3", "COMPUTED KEY", "1.5s", "q quit  h help"})
        CHECK_THAT(text, Catch::Contains(part));
}

TEST_CASE("Keys and prefixes are in the order that was asked for", "[top]") {
    using Rows = std::vector<std::string>;
    TopChoice choice;
    choice.part = Part::keys;
    CHECK(rows_of(busy(), choice) == Rows{"user:7", "page:1", "page:2"});
    choice.sort = SortBy::hit_share;
    CHECK(rows_of(busy(), choice) == Rows{"page:2", "page:1", "user:7"});
    choice.sort = SortBy::misses;
    CHECK(rows_of(busy(), choice) == Rows{"page:2", "page:1", "user:7"});
    choice.sort = SortBy::size;
    CHECK(rows_of(busy(), choice) == Rows{"page:2", "page:1", "user:7"});
    choice.sort = SortBy::name;
    CHECK(rows_of(busy(), choice) == Rows{"page:1", "page:2", "user:7"});
    choice.part = Part::prefixes;
    CHECK(rows_of(busy(), choice) == Rows{"page:", "user:"});
    choice.sort = SortBy::lookups;
    CHECK(rows_of(busy(), choice) == Rows{"user:", "page:"});
    choice.sort = SortBy::size;
    CHECK(rows_of(busy(), choice) == Rows{"page:", "user:"});
}

TEST_CASE("The column that is sorted by is marked", "[top]") {
    TopChoice choice;
    choice.part = Part::keys;
    for (const auto& [sort, title] :
         {std::pair(SortBy::lookups, "*LOOKUPS/s"), std::pair(SortBy::hit_share, "*HIT%"),
          std::pair(SortBy::misses, "*MISSES/s"), std::pair(SortBy::size, "*SIZE"), std::pair(SortBy::name, "*KEY")}) {
        choice.sort = sort;
        const std::string text = text_of(busy(), choice);
        CHECK_THAT(text, Catch::Contains(title));
        CHECK(std::count(text.begin(), text.end(), '*') == 1);
    }
}

TEST_CASE("A filter leaves keys that begin so, and the prefixes that have some", "[top]") {
    TopChoice choice;
    choice.filter = "page:2";
    choice.part = Part::keys;
    CHECK(rows_of(busy(), choice) == std::vector<std::string>{"page:2"});
    choice.part = Part::prefixes;
    CHECK(rows_of(busy(), choice) == std::vector<std::string>{"page:"});
    CHECK_THAT(text_of(busy(), choice), Catch::Contains("only page:2"));
    choice.filter = "none";
    CHECK_THAT(text_of(busy(), choice), Catch::Contains("nothing asked for so far"));
}

TEST_CASE("No window is too small or too large for a page", "[top]") {
    for (std::size_t rows = 0; rows <= 60; ++rows)
        for (const std::size_t columns : {1, 2, 7, 20, 39, 40, 59, 60, 71, 72, 80, 89, 90, 109, 110, 300})
            for (int part = 0; part < kParts; ++part)
                for (const bool help : {false, true}) {
                    TopChoice choice;
                    choice.part = static_cast<Part>(part);
                    choice.shows_help = help;
                    const TopPage page = top_page(busy(), choice, {rows, columns});
                    REQUIRE(page.lines.size() <= rows);
                    REQUIRE(std::all_of(page.lines.begin(), page.lines.end(), [columns](const StyledLine& line) {
                        return columns_of(line.text) <= columns;
                    }));
                    if (rows > 1) REQUIRE(page.lines.size() == rows);
                }
}

TEST_CASE("A window of 40 columns and 10 rows has what matters", "[top]") {
    const std::vector<std::string> lines = lines_of(busy(), {}, {10, 40});
    REQUIRE(lines.size() == 10);
    CHECK_THAT(lines[0], Catch::StartsWith("larder top: pages  every 1.0s"));
    CHECK_THAT(lines[1], Catch::Contains("% hits"));
    CHECK_THAT(lines[4], Catch::StartsWith("! Evicted at age 41.0s"));
    CHECK_THAT(lines[5], Catch::StartsWith("*LOOKUPS/s   HIT%  KEY"));
    CHECK_THAT(lines[6], Catch::EndsWith("user:7"));
    CHECK_THAT(lines[9], Catch::StartsWith("q quit  h help"));
}

TEST_CASE("Keys are shown escaped and cut by columns, whatever they hold", "[top]") {
    TopSnapshot snapshot = busy();
    const std::string wide = "\xe6\xbc\xa2";
    std::string many_wide;
    for (int n = 0; n < 300; ++n) many_wide += wide;
    snapshot.keys = {key_of("\x1b]0;title\x07\x1b[2J", 5, 0), key_of("<b>&\"'%s%n", 4, 0), key_of(many_wide, 3, 0),
                     key_of(std::string(1'024, 'k'), 2, 0), key_of("\xff\xfe\n\t", 1, 0)};
    TopChoice choice;
    choice.part = Part::keys;
    const Window window{24, 80};
    const TopPage page = top_page(snapshot, choice, window);
    const std::string text = text_of(snapshot, choice, window);
    CHECK_THAT(text, Catch::Contains("\\x1b]0;title\\x07\\x1b[2J\n") && Catch::Contains("<b>&\"'%s%n\n") &&
                         Catch::Contains("kkk~\n") && Catch::Contains("\\xff\\xfe\\x0a\\x09\n"));
    for (const StyledLine& line : page.lines) {
        CHECK(columns_of(line.text) <= 80);
        CHECK(std::none_of(line.text.begin(), line.text.end(), [](char c) { return c >= 0 && c < ' '; }));
    }
    const std::string ascii = text_of(snapshot, choice, {24, 80, Alphabet::ascii});
    CHECK(std::all_of(ascii.begin(), ascii.end(), [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); }));
    CHECK_THAT(ascii, Catch::Contains("\\u{6f22}"));
}

TEST_CASE("Hostile roles and filters are escaped as keys are", "[top]") {
    TopSnapshot snapshot = busy();
    snapshot.processes[0].role = "\x1b[31m";
    snapshot.leases[0].key = "\x1b[0m";
    snapshot.prefixes[0].text = "\x1b[1m";
    TopChoice choice;
    choice.is_typing_filter = true;
    choice.typed = "\x1b[32m";
    const std::string text = text_of(snapshot, choice, {40, 120});
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK_THAT(text, Catch::Contains("only keys that begin so: \\x1b[32m_"));
}

TEST_CASE("Scrolling ends where the rows end, and the heading of a table stays", "[top]") {
    TopSnapshot snapshot = busy();
    snapshot.keys.clear();
    for (int n = 0; n < 200; ++n) snapshot.keys.push_back(key_of("k:" + std::to_string(1'000 - n), n + 1, 0));
    TopChoice choice;
    choice.part = Part::keys;
    const TopPage first = top_page(snapshot, choice, {});
    CHECK(first.scroll == 0);
    CHECK(first.step > 10);
    choice.scroll = 5;
    const std::vector<std::string> rows = rows_of(snapshot, choice);
    CHECK(rows.front() == "k:806");
    choice.scroll = 100'000;
    const TopPage last = top_page(snapshot, choice, {});
    CHECK(last.scroll < 200);
    choice.scroll = last.scroll;
    CHECK(rows_of(snapshot, choice).back() == "k:1000");
    CHECK_THAT(text_of(snapshot, choice), Catch::Contains("*LOOKUPS/s"));
}

TEST_CASE("A cache that is away is waited for, in words", "[top]") {
    TopSnapshot snapshot;
    snapshot.cache = "pages";
    snapshot.absent = "no cache pages in /run/larder";
    const std::string text = text_of(snapshot);
    CHECK_THAT(text, Catch::Contains("no cache pages in /run/larder\n") && Catch::Contains("Waiting for it") &&
                         Catch::Contains("q quit"));
    CHECK_THAT(text, !Catch::Contains("lookups/s"));
}

TEST_CASE("A pause, another segment and the first look are told", "[top]") {
    TopSnapshot snapshot = busy();
    TopChoice choice;
    choice.is_paused = true;
    CHECK_THAT(lines_of(snapshot, choice)[0], Catch::Contains("PAUSED"));
    CHECK_THAT(text_of(snapshot), !Catch::Contains("PAUSED"));
    snapshot.was_replaced = true;
    snapshot.since_made = true;
    CHECK_THAT(lines_of(snapshot)[0], Catch::Contains("ANOTHER CACHE OF THIS NAME"));
    CHECK_THAT(lines_of(snapshot)[1], Catch::EndsWith("(since it was made)"));
}

TEST_CASE("Only processes that live are counted, and without lookups there is no share of hits", "[top]") {
    TopSnapshot snapshot = busy();
    snapshot.processes.push_back({4712, "worker", "app", 60'000, 0, 0, "has ended", false});
    const std::string text = text_of(snapshot, {}, {40, 120});
    CHECK_THAT(text, Catch::Contains("1 process,") && Catch::Contains("has ended"));
    CHECK_THAT(text, Catch::Contains("0 lookups/s, - % hits"));
}

TEST_CASE("In a pause nothing is waited for, and it is said how to go on", "[top]") {
    TopSnapshot snapshot;
    snapshot.absent = "no cache pages in /x";
    CHECK_THAT(text_of(snapshot), Catch::Contains("Waiting for it"));
    TopChoice choice;
    choice.is_paused = true;
    CHECK_THAT(text_of(snapshot, choice), !Catch::Contains("Waiting for it") && Catch::Contains("PAUSED: space looks"));
}
