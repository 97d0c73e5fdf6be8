// larder top on a real terminal: tmux has it, and tells what is seen on it.
#include <signal.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/command_scene.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::ChildProcess;
using test::CommandResult;
using test::eventually;
using test::LarderCommand;
using test::ScopedDirectory;

namespace {

bool is_without_tmux() {
    if (::system("command -v tmux >/dev/null 2>&1") == 0) return false;
    WARN("skipped: needs tmux");
    return true;
}

/// A server of tmux's own, with one terminal of 80 columns and 24 rows, in which a shell runs.
class Terminal {
public:
    explicit Terminal(const std::string& directory, const std::string& environment = "LC_ALL=C.UTF-8")
        : directory_(directory) {
        tmux("-f /dev/null new-session -d -s top -x 80 -y 24 \"env " + environment +
             " PS1='ready> ' /bin/sh\" \\; set -g window-size manual");
        REQUIRE(sees("ready>"));
    }
    ~Terminal() { tmux("kill-server"); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    CommandResult tmux(const std::string& arguments) const {
        return LarderCommand(directory_, {"-c", "exec tmux -u -S \"$LARDER_DIR/" + socket_ + "\" " + arguments}, {},
                             "/bin/sh")
            .finish();
    }
    void type(const std::string& keys) const { tmux("send-keys -t top " + keys); }
    /// A line for the shell.
    void enter(const std::string& line) const { tmux("send-keys -t top -l '" + line + "' \\; send-keys -t top Enter"); }
    void start_top() const {
        enter(R"(sh -c "echo \$\$ > \"$LARDER_DIR/pid\"; exec \"$LARDER\" top --interval 100ms")");
    }
    pid_t pid_of_top() const {
        pid_t pid = 0;
        std::ifstream(directory_ + "/pid") >> pid;
        return pid;
    }
    void resize(int columns, int rows) const {
        tmux("resize-window -t top -x " + std::to_string(columns) + " -y " + std::to_string(rows));
    }

    std::vector<std::string> lines() const { return tmux("capture-pane -p -t top").lines(); }
    std::string text() const { return tmux("capture-pane -p -t top").out; }
    bool sees(const std::string& wanted) const {
        return eventually([&] { return text().find(wanted) != std::string::npos; });
    }
    /// What a program that was asked for it says of the terminal: `1`: the alternate screen is shown.
    std::string fact(const std::string& format) const {
        const std::string out = tmux("display-message -p -t top '#{" + format + "}'").out;
        return out.substr(0, out.find('\n'));
    }

private:
    static std::string unused_name() {
        static int made = 0;
        return "tmux" + std::to_string(++made);
    }

    const std::string directory_;
    const std::string socket_ = unused_name();  // a server takes a while to end
};

/// A process that asks for the same keys all the time.
class Traffic {
public:
    explicit Traffic(const std::string& directory)
        : child_(ChildProcess::start([directory](test::Channel& parent) {
              Cache cache = Cache::open(test::small_options(directory, "default"));
              cache.put("page:hottest", "value", {.ttl = 10min});
              cache.put("page:other", "value", {.ttl = 10min});
              cache.put("user:\x1b[31m\x07", "value", {.ttl = 10min});
              cache.put("user:\xe6\xbc\xa2\xe5\xad\x97", "value", {.ttl = 10min});
              cache.put("long:" + std::string(1'019, 'k'), "value", {.ttl = 10min});
              cache.put("gone:1", "value");
              cache.erase("gone:1");
              parent.tell('r');
              while (parent.hear(1ms) == 0) {
                  for (int n = 0; n < 20; ++n) cache.get("page:hottest");
                  for (int n = 0; n < 5; ++n) cache.get("page:other");
                  cache.get("user:\x1b[31m\x07");
                  cache.get("user:\xe6\xbc\xa2\xe5\xad\x97");
                  cache.get("long:" + std::string(1'019, 'k'));
                  for (int n = 0; n < 9; ++n) cache.get("gone:1");
              }
              return 0;
          })) {
        REQUIRE(child_.hear() == 'r');
    }
    ~Traffic() {
        child_.tell('e');
        child_.wait();
    }
    pid_t pid() const { return child_.pid(); }

private:
    ChildProcess child_;
};

std::string row_with(const std::vector<std::string>& lines, const std::string& wanted) {
    for (const std::string& line : lines)
        if (line.find(wanted) != std::string::npos) return line;
    return {};
}

std::size_t place_of(const std::vector<std::string>& lines, const std::string& wanted) {
    for (std::size_t at = 0; at < lines.size(); ++at)
        if (lines[at].find(wanted) != std::string::npos) return at;
    return lines.size();
}

}  // namespace

TEST_CASE("top shows what is asked for, sorted and filtered by keys", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    const Traffic traffic(directory.path());
    const Terminal terminal(directory.path());
    terminal.start_top();
    REQUIRE(terminal.sees("larder top: default"));
    CHECK(terminal.fact("alternate_on") == "1");

    // What it shows.
    REQUIRE(terminal.sees("page:hottest"));
    REQUIRE(terminal.sees("(not in the cache)"));
    std::vector<std::string> lines = terminal.lines();
    CHECK(row_with(lines, " lookups/s, ").find("% hits") != std::string::npos);
    CHECK(row_with(lines, " lookups/s, ").find(" misses/s: ") != std::string::npos);
    CHECK(place_of(lines, "page:hottest") < place_of(lines, "page:other"));
    CHECK(terminal.sees(std::to_string(traffic.pid()) + "  worker"));

    // Hostile keys are text, cut by columns.
    terminal.type("2");
    REQUIRE(terminal.sees("user:\\x1b[31m\\x07"));
    CHECK(terminal.sees("user:\xe6\xbc\xa2\xe5\xad\x97"));
    CHECK(terminal.sees("kkkk~"));

    // By name, and back.
    terminal.type("N");
    REQUIRE(terminal.sees("*KEY"));
    lines = terminal.lines();
    CHECK(place_of(lines, "long:") < place_of(lines, "page:hottest"));
    terminal.type("n");
    REQUIRE(terminal.sees("*LOOKUPS/s"));

    // Only some, and all again.
    terminal.type("/ u s e r");
    REQUIRE(terminal.sees("only keys that begin so: user_"));
    terminal.type("Enter");
    CHECK(eventually([&] { return terminal.text().find("page:hottest") == std::string::npos; }));
    CHECK(terminal.sees("user:\\x1b[31m"));
    terminal.type("Escape");
    REQUIRE(terminal.sees("page:hottest"));
}

TEST_CASE("top pauses, fits the window whatever its size, and leaves the terminal as it was", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    const Traffic traffic(directory.path());
    const Terminal terminal(directory.path());
    terminal.enter("stty -g > \"$LARDER_DIR/before\"");
    terminal.start_top();
    REQUIRE(terminal.sees("page:hottest"));

    // A pause stands still.
    terminal.type("p");
    REQUIRE(terminal.sees("PAUSED"));
    const std::string still = terminal.text();
    CHECK_FALSE(eventually([&] { return terminal.text() != still; }, 500ms));
    const std::string rates = row_with(terminal.lines(), " lookups/s, ");
    terminal.type("/ page Enter");
    REQUIRE(terminal.sees("PAUSED  only page"));
    CHECK(row_with(terminal.lines(), " lookups/s, ") == rates);
    terminal.type("Escape");
    REQUIRE(eventually([&] { return terminal.text().find("only page") == std::string::npos; }));
    CHECK(row_with(terminal.lines(), " lookups/s, ") == rates);
    terminal.type("Space");
    CHECK(eventually([&] { return terminal.text() != still; }));
    terminal.type("p +");
    REQUIRE(terminal.sees("every 100ms"));

    // Another size, and the help in it.
    terminal.type("1");
    terminal.resize(40, 10);
    REQUIRE(eventually([&] { return terminal.fact("window_height") == "10"; }));
    REQUIRE(eventually([&] {
        const std::vector<std::string> now = terminal.lines();
        return now.size() == 10 && now[9].find("q quit  h help") == 0 && now[5].find("*LOOKUPS/s   HIT%  KEY") == 0;
    }));
    terminal.type("h");
    REQUIRE(terminal.sees("KEYS"));
    terminal.type("h");
    terminal.resize(100, 30);
    REQUIRE(eventually([&] {
        const std::vector<std::string> now = terminal.lines();
        return now.size() == 30 && now[29].find("q quit  h help") == 0;
    }));

    // The end.
    terminal.type("q");
    REQUIRE(eventually([&] { return terminal.fact("alternate_on") == "0"; }));
    terminal.enter("stty -g | cmp - \"$LARDER_DIR/before\" && echo as \"it was\"");
    CHECK(terminal.sees("as it was"));
}

TEST_CASE("SIGTERM and Ctrl-C end top with the terminal as it was", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    const Traffic traffic(directory.path());
    const Terminal terminal(directory.path());
    terminal.enter("stty -g > \"$LARDER_DIR/before\"");
    for (const bool by_signal : {true, false}) {
        terminal.start_top();
        REQUIRE(eventually([&] { return terminal.fact("alternate_on") == "1"; }));
        REQUIRE(terminal.sees("page:hottest"));
        if (by_signal)
            ::kill(terminal.pid_of_top(), SIGTERM);
        else
            terminal.type("C-c");
        REQUIRE(eventually([&] { return terminal.fact("alternate_on") == "0"; }));
        CHECK(terminal.fact("cursor_flag") == "1");
        terminal.enter("echo code \"$?\" by " + std::to_string(by_signal));
        CHECK(terminal.sees("code 0 by " + std::to_string(by_signal)));
        terminal.enter("stty -g | cmp - \"$LARDER_DIR/before\" && echo as \"it was\" " + std::to_string(by_signal));
        CHECK(terminal.sees("as it was " + std::to_string(by_signal)));
    }
}

TEST_CASE("top waits for a cache that was removed, and shows the one that comes", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    REQUIRE(test::run_larder(directory.path(), {"put", "k", "--size", "16MiB"}, "v").code == 0);
    const Terminal terminal(directory.path());
    terminal.start_top();
    REQUIRE(terminal.sees("16.0MiB"));
    REQUIRE(test::run_larder(directory.path(), {"rm"}).code == 0);
    REQUIRE(terminal.sees("no cache default in "));
    CHECK(terminal.sees("Waiting for it; q quits."));
    REQUIRE(test::run_larder(directory.path(), {"put", "k", "--size", "24MiB"}, "v").code == 0);
    REQUIRE(terminal.sees("24.0MiB"));
    CHECK(terminal.sees("1 entry, "));
    terminal.type("q");
    CHECK(terminal.sees("ready>"));
}

TEST_CASE("top can be stopped by Ctrl-Z and goes on", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    const Traffic traffic(directory.path());
    const Terminal terminal(directory.path());
    terminal.enter("set -m");
    terminal.start_top();
    REQUIRE(terminal.sees("page:hottest"));
    terminal.type("C-z");
    REQUIRE(eventually([&] { return terminal.fact("alternate_on") == "0"; }));
    terminal.enter("echo it \"is stopped\"");
    REQUIRE(terminal.sees("it is stopped"));
    terminal.enter("fg");
    REQUIRE(eventually([&] { return terminal.fact("alternate_on") == "1"; }));
    REQUIRE(terminal.sees("page:hottest"));
    terminal.type("q");
    CHECK(eventually([&] { return terminal.fact("alternate_on") == "0"; }));
}

TEST_CASE("top works without colours, in ASCII, and on other kinds of terminal", "[top][cli]") {
    if (is_without_tmux()) return;
    const ScopedDirectory directory;
    const Traffic traffic(directory.path());
    for (const char* const environment : {"NO_COLOR=1 LC_ALL=C", "TERM=xterm LC_ALL=C", "TERM=linux LC_ALL=C"}) {
        INFO(environment);
        const Terminal terminal(directory.path(), environment);
        terminal.start_top();
        REQUIRE(terminal.sees("page:hottest"));
        CHECK(terminal.sees("user:\\u{6f22}\\u{5b57}"));
        const std::string seen = terminal.tmux("capture-pane -e -p -t top").out;
        const bool coloured = seen.find("\x1b[36m") != std::string::npos || seen.find(";36m") != std::string::npos ||
                              seen.find("\x1b[1m\x1b[36m") != std::string::npos;
        CHECK(coloured == (std::string(environment).find("NO_COLOR") == std::string::npos));
        terminal.type("q");
        CHECK(terminal.sees("ready>"));
    }
    for (const auto& [environment, why] : {std::pair("TERM=dumb", "cannot move its cursor (TERM=dumb)"),
                                           std::pair("TERM=no-such-thing", "is not known (TERM=no-such-thing)"),
                                           std::pair("TERM=", "is not known (TERM=)")}) {
        INFO(environment);
        const Terminal terminal(directory.path(), environment);
        terminal.enter("\"$LARDER\" top; echo code \"$?\"");
        CHECK(terminal.sees("code 3"));
        CHECK(terminal.sees(why));
    }
}

TEST_CASE("top refuses where there is no terminal, and says what to use", "[top][cli]") {
    test::CommandScene scene;
    const CommandResult refused = scene.run({"top"});
    CHECK(refused.code == 2);
    CHECK(refused.out.empty());
    CHECK(refused.err == "larder: top needs a terminal; elsewhere use `larder stat --watch 1s`\n");
    CHECK(scene.run({"top", "--interval", "10ms"}).code == 2);
    CHECK(scene.run({"top", "--interval", "2h"}).code == 2);
    CHECK(scene.run({"top", "-c", "none"}).code == 1);
}

TEST_CASE("top changes nothing in the cache that it looks at", "[top][cli]") {
    if (is_without_tmux()) return;
    test::CommandScene scene;
    scene.cache.put("k", "v");
    scene.cache.get("k");
    const auto counters = [&scene] { return scene.run({"stat", "--json"}).json().at("counters"); };
    const auto last_used = [&scene] { return scene.line_of("k"); };
    const boost::json::value before = counters();
    const auto used_before = last_used();
    {
        const Terminal terminal(scene.directory.path());
        terminal.start_top();
        REQUIRE(terminal.sees("every 100ms"));
        for (int n = 0; n < 5; ++n) terminal.type("Space");
        terminal.type("q");
        REQUIRE(terminal.sees("ready>"));
    }
    CHECK(counters() == before);
    CHECK(last_used().at("hits") == used_before.at("hits"));
    CHECK(last_used().at("last_used_ms").to_number<int>() >= used_before.at("last_used_ms").to_number<int>());
    CHECK(scene.run({"stat", "--json"}).json().at("processes").as_array().size() == 1);
}
