#include <fmt/format.h>

#include <string>
#include <vector>

#include "tools/manual/completions.hpp"

namespace larder::tools::manual {
namespace {

// In single quotes, where fish takes a backslash for an escape.
std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c;
    }
    return result + "'";
}

std::string words_of(const Argument& argument) {
    std::string words;
    for (const std::string& choice : argument.choices) words += (words.empty() ? "" : " ") + choice;
    return words;
}

// -x: a value that is no file; -r: a value.
std::string value_switches(const Argument& argument) {
    switch (argument.fill) {
    case Fill::choices:
        return " -x -a " + quoted(words_of(argument));
    case Fill::files:
        return " -r -F";
    case Fill::directories:
        return " -x -a '(__fish_complete_directories)'";
    case Fill::caches:
        return " -x -a '(__larder_caches)'";
    case Fill::keys:
    case Fill::nothing:
        break;
    }
    return " -x";
}

std::string option_line(const std::string& condition, const Argument& option) {
    std::string line = "complete -c larder" + condition;
    for (const std::string& name : option.names)
        line += name.rfind("--", 0) == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.value.empty()) line += value_switches(option);
    return line + " -d " + quoted(option.meaning) + "\n";
}

std::string verb_lines(const Verb& verb) {
    const std::string condition = fmt::format(" -n '__larder_verb_is {}'", verb.name);
    std::string text;
    for (const Argument& option : verb.options) text += option_line(condition, option);
    for (const Argument& positional : verb.positionals) {
        if (positional.fill == Fill::files) text += fmt::format("complete -c larder{} -F\n", condition);
        if (positional.fill == Fill::keys)
            text += fmt::format("complete -c larder{} -a '(__larder_keys)'\n", condition);
        if (positional.fill == Fill::choices)
            text += fmt::format("complete -c larder{} -a {}\n", condition, quoted(words_of(positional)));
    }
    return text;
}

// The options of the program with a value, which is not the verb.
std::string valued(const CommandTree& tree) {
    std::string names;
    for (const Argument& option : tree.program.options)
        for (const std::string& name : option.names)
            if (!option.value.empty()) names += " " + name;
    return names;
}

}  // namespace

std::string fish_completion(const CommandTree& tree) {
    std::string text = fmt::format(R"(# Completion of larder(1) for fish.

function __larder_caches
    {}
end

# Keys that begin as the word does, of the cache that the line names.
function __larder_keys
    set -l chosen
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        if contains -- $words[$i] -c --cache --directory; and test $i -lt (count $words)
            set -a chosen $words[$i] $words[(math $i + 1)]
        else if string match -q -r -- '^--(cache|directory)=' $words[$i]
            set -a chosen $words[$i]
        end
    end
    set -l word (commandline -ct)
    string match -q -- '-*' $word; and return
    larder dump --json --limit 200 --prefix "$word" $chosen 2>/dev/null | {}
end

function __larder_verb
    set -l words (commandline -opc)
    set -e words[1]
    set -l is_value no
    for word in $words
        if test $is_value = yes
            set is_value no
        else if contains -- $word{}
            set is_value yes
        else if not string match -q -- '-*' $word
            echo $word
            return 0
        end
    end
    return 1
end

function __larder_verb_is
    set -l verb (__larder_verb)
    and test $verb = $argv[1]
end

complete -c larder -f
)",
                                   list_caches, sed_keys, valued(tree));
    for (const Argument& option : tree.program.options)
        text += option_line(option.value.empty() ? " -n 'not __larder_verb >/dev/null'" : "", option);
    for (const Verb& verb : tree.verbs)
        text += fmt::format("complete -c larder -n 'not __larder_verb >/dev/null' -a {} -d {}\n", verb.name,
                            quoted(verb.summary));
    for (const Verb& verb : tree.verbs) text += verb_lines(verb);
    return text;
}

}  // namespace larder::tools::manual
