// The program `larder`: parses the command line, runs the chosen verb, maps what happened to an exit code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "shm/cache.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/nearest_word.hpp"
#include "tools/options.hpp"
#include "tools/program.hpp"
#include "tools/settings.hpp"
#include "tools/standard_streams.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

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

/// `help VERB` is `VERB --help`. REQUIRES: the last word first.
std::vector<std::string> with_help_of_verb(const CLI::App& program, std::vector<std::string> words) {
    if (words.size() == 3 && words[2] == marked("help") && words[1] == "--") words.erase(words.begin() + 1);
    if (words.size() != 2 || words[1] != marked("help")) return words;
    for (const CLI::App* const verb : program.get_subcommands({}))
        if (words[0] == marked(verb->get_name())) return {marked("--help"), words[0]};
    return words;
}

/// Environment variables are for the verb that is run: a wrong one disturbs no verb that does not have that option.
void read_environment_when_chosen(CLI::App& verb) {
    std::vector<std::pair<CLI::Option*, std::string>> variables;
    for (CLI::Option* const option : verb.get_options()) {
        if (option->get_envname().empty()) continue;
        variables.emplace_back(option, option->get_envname());
        option->envname("");
    }
    verb.preparse_callback([variables](std::size_t) {
        for (const auto& [option, name] : variables) option->envname(name);
    });
}

void finish_verb(CLI::App& verb) {
    verb.fallthrough();  // an option of the program is taken behind the verb, too
    for (CLI::Option* const option : verb.get_options()) option->transform(CLI::Validator(unmark, ""));
    read_environment_when_chosen(verb);
}

/// `larder put`, or `larder` where no verb was named.
std::string command_of(const CLI::App& program) {
    const std::vector<CLI::App*> named = program.get_subcommands();
    return named.empty() ? "larder" : "larder " + named.front()->get_name();
}

/// What runs for long tells what it does; the others tell what went wrong.
std::string usual_log_level(const CLI::App& program) {
    return program.got_subcommand("serve") || program.got_subcommand("listen") ? "info" : "warning";
}

int fail(ExitCode code, const std::string& what) {
    announce(LogLevel::error, what);
    return code;
}

int fail_usage(const std::string& what, const std::string& command) {
    return fail(kUsage, fmt::format("{}; see `{} --help`", what, command));
}

/// What the library calls by the name of its field, the user knows by its flag, or by its variable.
std::string with_flags(std::string text) {
    constexpr std::string_view kField = "size_bytes = ";
    const std::size_t at = text.find(kField);
    if (at == std::string::npos) return text;
    const std::size_t number = at + kField.size(), end = text.find_first_not_of("0123456789", number);
    return text.replace(at, kField.size(), name_for_size(text.substr(number, end - number)) + " ");
}

int run(const Action& action, const std::string& command) {
    try {
        return action();
    } catch (const UsageError& error) {
        return fail_usage(error.what(), command);
    } catch (const Refusal& refusal) {
        return fail(refusal.code, refusal.what());
    } catch (const OpenError& error) {
        // Options that no cache can have are a mistake in the command line.
        return error.stage == "options" ? fail_usage(with_flags(error.what()), command) : fail(kFailure, error.what());
    } catch (const std::exception& error) {
        return fail(kFailure, error.what());
    }
}

/// The first word that is neither a verb nor an option, when no verb was named.
std::string unknown_verb(const CLI::App& program) {
    if (program.get_subcommands().empty())
        for (std::string word : program.remaining())
            if (unmark(word); word.empty() || word.front() != '-') return word;
    return {};
}

/// What is wrong with words that nothing takes. Empty: they are not what is wrong.
std::string unexpected(const CLI::App& program, const CLI::ParseError& error) {
    const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
    if (code != CLI::ExitCodes::ExtrasError && code != CLI::ExitCodes::RequiredError) return {};
    std::string words;
    for (std::string word : program.remaining(true)) {
        unmark(word);
        if (word.size() > 1 && word.front() == '-') return "unknown option " + word;
        words += " " + word;
    }
    return words.empty() ? words : "nothing takes" + words;
}

int fail_parsing(const CLI::App& program, const CLI::ParseError& error) {
    const std::string word = unknown_verb(program);
    if (word.empty()) {
        const std::string extras = unexpected(program, error);
        return fail_usage(extras.empty() ? error.what() : extras, command_of(program));
    }
    std::vector<std::string> verbs;
    for (const CLI::App* const verb : program.get_subcommands({})) verbs.push_back(verb->get_name());
    const std::string meant = nearest_word(word, verbs);
    if (meant.empty()) return fail_usage(fmt::format("there is no verb `{}`", word), "larder");
    return fail(kUsage, fmt::format("there is no verb `{}`; did you mean `{}`? See `larder --help`", word, meant));
}

/// What is wrong with the options; empty: nothing.
std::string begin_logging(const CLI::App& program, const ProgramOptions& options) {
    const auto named = [](std::string_view name, const std::string& text, const std::exception& error) {
        return name_for(name, text) + ": " + error.what();
    };
    LogFormat format = LogFormat::text;
    try {
        format = log_format_of(options.log_format);
    } catch (const std::invalid_argument& error) {
        return named("log-format", options.log_format, error);
    }
    try {
        start_logging(options.log_level.empty() ? usual_log_level(program) : options.log_level, format);
    } catch (const std::invalid_argument& error) {
        return named("log-level", options.log_level, error);
    }
    return {};
}

int parse_and_run(int argc, char** argv) {
    Action action;
    ProgramOptions options;
    CLI::App program;
    define_program(program, options, action);
    for (CLI::App* const verb : program.get_subcommands({})) finish_verb(*verb);
    try {
        program.parse(with_help_of_verb(program, words_of(argc, argv)));
    } catch (const CLI::Success& asked) {  // --help, --version
        std::ostringstream text;
        const int code = program.exit(asked, text, text);
        print(text.str());
        return code;
    } catch (const CLI::ParseError& error) {
        return fail_parsing(program, error);
    } catch (const Refusal& refusal) {  // of the configuration file
        return fail(refusal.code, refusal.what());
    }
    if (const std::string wrong = begin_logging(program, options); !wrong.empty()) return fail(kUsage, wrong);
    return run(action, command_of(program));
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
