#include "tools/manual/command_tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tools/program.hpp"

namespace larder::tools::manual {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(at, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

Fill fill_of(const Argument& argument) {
    const auto is_named = [&argument](const char* name) {
        return std::find(argument.names.begin(), argument.names.end(), name) != argument.names.end();
    };
    if (!argument.choices.empty()) return Fill::choices;
    if (is_named("--cache")) return Fill::caches;
    if (is_named("KEY")) return Fill::keys;
    for (const char* const type : {"FILE", "URL", "PATH", "TRACE"})
        if (argument.value == type) return Fill::files;
    return argument.value == "DIR" ? Fill::directories : Fill::nothing;
}

Argument argument_of(const CLI::Option& option) {
    Argument argument;
    const bool is_switch = option.get_items_expected_max() == 0;
    if (option.get_positional()) argument.names.push_back(option.get_name(true));
    for (const std::string& name : option.get_snames()) argument.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) argument.names.push_back("--" + name);
    if (!is_switch) argument.value = option.get_positional() ? argument.names.front() : option.get_type_name();
    if (argument.value.find('|') != std::string::npos) argument.choices = split(argument.value, '|');
    const SplitHelp help = split_help(option.get_description());
    argument.meaning = help.meaning;
    argument.environment = option.get_envname();
    argument.group = option.get_group();
    argument.required = option.get_required();
    if (!argument.required)
        argument.default_text = help.default_text.empty() ? option.get_default_str() : help.default_text;
    argument.repeatable = !is_switch && option.get_expected_max() > 1;
    argument.fill = fill_of(argument);
    return argument;
}

// `group`: where the options of `app` stand; empty: each where it says itself.
void add_arguments(Verb& verb, const CLI::App& app, const std::string& group) {
    for (const CLI::Option* const option : app.get_options()) {
        if (option->get_group().empty()) continue;  // hidden
        Argument argument = argument_of(*option);
        if (!group.empty()) argument.group = group;
        (option->get_positional() ? verb.positionals : verb.options).push_back(std::move(argument));
    }
}

// A group of options of which some go together is a verb without a name to CLI11.
Verb verb_of(const CLI::App& app) {
    Verb verb{.name = app.get_name(), .summary = app.get_description(), .footer = app.get_footer()};
    add_arguments(verb, app, {});
    for (const CLI::App* const group : app.get_subcommands({}))
        if (group->get_name().empty() && !group->get_group().empty()) add_arguments(verb, *group, group->get_group());
    return verb;
}

bool has_verbs(const CLI::App& app) {
    const auto parts = app.get_subcommands({});
    return std::any_of(parts.begin(), parts.end(), [](const CLI::App* part) { return !part->get_name().empty(); });
}

}  // namespace

SplitHelp split_help(const std::string& help) {
    constexpr std::string_view mark = "[default: ";
    const std::size_t at = help.rfind(mark);
    if (at == std::string::npos || help.back() != ']') return {help, {}};
    const std::size_t begin = at + mark.size();
    return {help.substr(0, at == 0 ? 0 : at - 1), help.substr(begin, help.size() - begin - 1)};
}

CommandTree read_command_tree() {
    Action action;
    ProgramOptions options;
    CLI::App app;
    define_program(app, options, action);
    CommandTree tree{.program = verb_of(app)};
    tree.program.name.clear();
    const std::string inherited = tree.program.footer;
    for (const CLI::App* const verb : static_cast<const CLI::App&>(app).get_subcommands({})) {
        if (verb->get_group().empty()) continue;  // hidden
        if (has_verbs(*verb))
            throw std::logic_error(verb->get_name() +
                                   " has verbs of its own, which neither pages nor completions show");
        tree.verbs.push_back(verb_of(*verb));
        if (tree.verbs.back().footer == inherited) tree.verbs.back().footer.clear();
    }
    return tree;
}

}  // namespace larder::tools::manual
