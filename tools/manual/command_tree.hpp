// CommandTree: the command line as plain data, read from its one definition.
#pragma once

#include <string>
#include <vector>

namespace larder::tools::manual {

/// What a shell offers for a value.
enum class Fill { nothing, choices, files, directories, caches, keys };

struct Argument {
    std::vector<std::string> names;  ///< `-c`, `--cache`; of a positional, `KEY`
    std::string value;               ///< NAME, SIZE, ...; empty: a switch
    std::string meaning, default_text, environment, group;
    std::vector<std::string> choices;
    Fill fill = Fill::nothing;
    bool required = false, repeatable = false;
};

struct Verb {
    std::string name;  ///< empty: the program itself
    std::string summary, footer;
    std::vector<Argument> options, positionals;
};

struct CommandTree {
    Verb program;
    std::vector<Verb> verbs;
};

/// What people see of the command line; hidden verbs and options are left out. Throws std::logic_error where the
/// definition has something that no page or completion would show.
CommandTree read_command_tree();

/// What is in front of the last ` [default: X]` of a help text, and X.
struct SplitHelp {
    std::string meaning, default_text;
};
SplitHelp split_help(const std::string& help);

}  // namespace larder::tools::manual
