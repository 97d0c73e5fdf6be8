// The program `larder`: parses the command line, runs the chosen verb, maps what happened to an exit code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "shm/cache.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 not found or a negative answer, 2 usage, 3 failure.\n"
    "Durations: 300, 300s, 500ms, 5m, 1h, 7d. Sizes: 4096, 64KiB, 256MiB, 1GiB.";

void add_verbs(CLI::App& program, Action& action) {
    for (const auto add : {add_serve, add_import, add_analytics, add_hit_rate, add_ls, add_stat, add_dump, add_get,
                           add_put, add_invalidate, add_listen, add_doctor, add_rm, add_replay, add_token})
        add(program, action);
}

/// CLI11 takes a word in brackets, `[a,b]`, for a list and splits it; a key may look so. Such a word gets a mark in
/// front while it passes through CLI11, and loses it before any check of it.
constexpr char kMark = '\x01';

std::string marked(const std::string& word) {
    const bool needs_mark = !word.empty() && (word.front() == kMark || (word.front() == '[' && word.back() == ']'));
    return needs_mark ? kMark + word : word;
}

std::string unmark(std::string& word) {
    if (!word.empty() && word.front() == kMark) word.erase(0, 1);
    return {};
}

/// In the order that CLI11 wants: the last first.
std::vector<std::string> words_of(int argc, char** argv) {
    std::vector<std::string> words;
    for (int i = argc - 1; i > 0; --i) words.push_back(marked(argv[i]));
    return words;
}

void finish_verb(CLI::App& verb) {
    verb.fallthrough();  // an option of the program is taken behind the verb, too
    for (CLI::Option* const option : verb.get_options()) option->transform(CLI::Validator(unmark, ""));
}

/// What runs for long tells what it does; the others tell what went wrong.
std::string usual_log_level(const CLI::App& program) {
    return program.got_subcommand("serve") || program.got_subcommand("listen") ? "info" : "warning";
}

int fail(ExitCode code, const std::string& what) {
    complain(fmt::format("larder: {}\n", escaped(what)));
    return code;
}

int run(const Action& action, const std::string& log_level) {
    try {
        start_logging(log_level);
    } catch (const std::invalid_argument& error) {
        return fail(kUsage, error.what());
    }
    try {
        return action();
    } catch (const Refusal& refusal) {
        return fail(refusal.code, refusal.what());
    } catch (const OpenError& error) {
        // Options that no cache can have are a mistake in the command line.
        return fail(error.stage == "options" ? kUsage : kFailure, error.what());
    } catch (const std::exception& error) {
        return fail(kFailure, error.what());
    }
}

int parse_and_run(int argc, char** argv) {
    Action action;
    std::string log_level;
    CLI::App program("Larder: one shared-memory cache per host, without a server", "larder");
    program.set_version_flag("--version", "larder " LARDER_VERSION);
    program.set_help_flag("-h,--help", "Print this help and exit");
    add_text_option(program, "log-level", log_level);
    program.footer(kFooter);
    program.require_subcommand(1);
    add_verbs(program, action);
    for (CLI::App* const verb : program.get_subcommands({})) finish_verb(*verb);
    try {
        program.parse(words_of(argc, argv));
    } catch (const CLI::Success& asked) {  // --help, --version
        std::ostringstream text;
        const int code = program.exit(asked, text, text);
        print(text.str());
        return code;
    } catch (const CLI::ParseError& error) {
        return fail(kUsage, std::string(error.what()) + "; see `larder --help`");
    }
    return run(action, log_level.empty() ? usual_log_level(program) : log_level);
}

}  // namespace
}  // namespace larder::tools

int main(int argc, char** argv) {
    if (!larder::tools::keep_standard_streams()) return larder::tools::kFailure;
    try {
        return larder::tools::parse_and_run(argc, argv);
    } catch (const std::exception& error) {
        larder::tools::complain(std::string("larder: ") + error.what() + "\n");
        return larder::tools::kFailure;
    }
}
