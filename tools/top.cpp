// larder top: a live view of one cache, on a terminal.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "tools/options.hpp"
#include "tools/top_input.hpp"
#include "tools/top_screen.hpp"
#include "tools/top_source.hpp"
#include "tools/top_view.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kShortestInterval{100}, kLongestInterval{3'600'000};

struct Arguments {
    Options cache;
    milliseconds interval{1'000};
};

class Top {
public:
    Top(TopSource& source, TopScreen& screen, milliseconds interval) : source_(source), screen_(screen) {
        choice_.interval = interval;
    }

    void run() {
        look();
        for (bool goes_on = true; goes_on;) {
            show();
            goes_on = handle(screen_.wait(time_left()));
        }
    }

private:
    void look() {
        snapshot_ = source_.look();
        looked_ = steady_clock::now();
    }
    void show() {
        const TopPage page = top_page(snapshot_, choice_, screen_.window());
        choice_.scroll = page.scroll;
        step_ = page.step;
        screen_.draw(page.lines);
    }
    /// Until the next look; nullopt: none is due.
    std::optional<milliseconds> time_left() const {
        if (choice_.is_paused) return std::nullopt;
        const auto passed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - looked_);
        return std::max(milliseconds(0), choice_.interval - passed);
    }
    /// False: that was all.
    bool handle(const TopScreen::Event& event) {
        using Kind = TopScreen::Event::Kind;
        if (event.kind == Kind::end) return false;
        const bool goes_on = event.kind != Kind::key || act(press(choice_, event.key, step_));
        if (const auto left = time_left(); left && left->count() == 0) look();
        return goes_on;
    }
    bool act(TopAction action) {
        if (action == TopAction::filter) source_.follow_only(choice_.filter);
        const bool looks = action == TopAction::look || (action == TopAction::filter && !choice_.is_paused);
        if (looks) look();
        if (action == TopAction::redraw) screen_.forget();
        return action != TopAction::quit;
    }

    TopSource& source_;
    TopScreen& screen_;
    TopChoice choice_;
    TopSnapshot snapshot_;
    steady_clock::time_point looked_;
    std::size_t step_ = 1;
};

int run(const Arguments& arguments) {
    TopSource source(arguments.cache);
    TopScreen screen;
    Top(source, screen, arguments.interval).run();
    return kOk;
}

}  // namespace

void add_top(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand(
        "top", "A live view on a terminal: rates, hottest keys and prefixes, processes, and what is wrong");
    add_selection(*verb, arguments->cache);
    add_duration(*verb, "--interval", arguments->interval, "Looks so often, from 100ms to 1h [default: 1s]");
    verb->footer(
        "Keys: h shows them, q quits. A look goes through at most 16,384 entries of the key table, and changes "
        "neither\n"
        "counters nor the order of eviction. Without a terminal: larder stat --watch.");
    verb->callback([&action, arguments] {
        if (arguments->interval < kShortestInterval || arguments->interval > kLongestInterval)
            throw CLI::ValidationError("--interval", "give 100ms to 1h");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
