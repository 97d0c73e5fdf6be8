#include "tools/top_input.hpp"

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <iterator>
#include <limits>

namespace larder::tools {
namespace {

namespace utf = boost::locale::utf;
using std::chrono::milliseconds;

constexpr milliseconds kIntervals[] = {milliseconds(100),    milliseconds(200),    milliseconds(500),
                                       milliseconds(1'000),  milliseconds(2'000),  milliseconds(5'000),
                                       milliseconds(10'000), milliseconds(30'000), milliseconds(60'000)};
constexpr std::size_t kMostTyped = 1'024;
constexpr char32_t kControlL = 12;

template <class Enum>
Enum turned(Enum value, int by, int count) {
    return static_cast<Enum>((static_cast<int>(value) + by + count) % count);
}

milliseconds shorter(milliseconds interval) {
    const auto at = std::lower_bound(std::begin(kIntervals), std::end(kIntervals), interval);
    return at == std::begin(kIntervals) ? std::min(interval, *at) : *(at - 1);
}
milliseconds longer(milliseconds interval) {
    const auto at = std::upper_bound(std::begin(kIntervals), std::end(kIntervals), interval);
    return at == std::end(kIntervals) ? interval : *at;
}

void erase_last_character(std::string& text) {
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
    if (!text.empty()) text.pop_back();
}

TopAction type(TopChoice& choice, char32_t key) {
    if (key == kEscape || key == kEnter) {
        choice.is_typing_filter = false;
        if (key == kEscape || choice.typed == choice.filter) return TopAction::show;
        choice.filter = choice.typed;
        choice.scroll = 0;
        return TopAction::filter;
    }
    if (key == kBackspace) erase_last_character(choice.typed);
    if (key == kControlL) return TopAction::redraw;
    if (key >= 0x20 && key < kUp && key != 0x7F && choice.typed.size() + 4 <= kMostTyped)
        utf::utf_traits<char>::encode(static_cast<utf::code_point>(key), std::back_inserter(choice.typed));
    return TopAction::show;
}

void scroll(TopChoice& choice, char32_t key, std::size_t step) {
    const auto up = [&choice](std::size_t lines) { choice.scroll -= std::min(choice.scroll, lines); };
    if (key == kUp || key == 'k') up(1);
    if (key == kDown || key == 'j') ++choice.scroll;
    if (key == kPageUp) up(step);
    if (key == kPageDown) choice.scroll += step;
    if (key == kHome || key == 'g') choice.scroll = 0;
    if (key == kEnd || key == 'G') choice.scroll = std::numeric_limits<std::size_t>::max() / 2;
}

TopAction show_part(TopChoice& choice, Part part) {
    choice.part = part;
    choice.scroll = 0;
    choice.shows_help = false;
    return TopAction::show;
}

TopAction escape(TopChoice& choice) {
    if (choice.shows_help) {
        choice.shows_help = false;
        choice.scroll = 0;
        return TopAction::show;
    }
    if (choice.filter.empty()) return TopAction::show;
    choice.filter.clear();
    return TopAction::filter;
}

}  // namespace

TopAction press(TopChoice& choice, char32_t key, std::size_t step) {
    if (choice.is_typing_filter) return type(choice, key);
    switch (key) {
    case 'q':
    case 'Q':
        return TopAction::quit;
    case 'h':
    case '?':
        choice.shows_help = !choice.shows_help;
        choice.scroll = 0;
        return TopAction::show;
    case 'p':
        choice.is_paused = !choice.is_paused;
        return choice.is_paused ? TopAction::show : TopAction::look;
    case ' ':
        return TopAction::look;
    case '+':
    case '=':
        choice.interval = shorter(choice.interval);
        return TopAction::show;
    case '-':
        choice.interval = longer(choice.interval);
        return TopAction::show;
    case 'n':
    case 'N':
        choice.sort = turned(choice.sort, key == 'n' ? 1 : -1, kSortings);
        return TopAction::show;
    case 'v':
    case '\t':
        return show_part(choice, turned(choice.part, 1, kParts));
    case 'V':
    case kBackTab:
        return show_part(choice, turned(choice.part, -1, kParts));
    case '/':
        choice.is_typing_filter = true;
        choice.typed = choice.filter;
        return TopAction::show;
    case kControlL:
        return TopAction::redraw;
    case kEscape:
        return escape(choice);
    default:
        if (key >= '1' && key < '1' + kParts) return show_part(choice, static_cast<Part>(key - '1'));
        scroll(choice, key, step);
        return TopAction::show;
    }
}

}  // namespace larder::tools
