#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "tools/manual/completions.hpp"

namespace larder::tools::manual {
namespace {

// For a part of a specification of _arguments or _describe.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (std::string_view("[]:\\").find(c) != std::string_view::npos) result += '\\';
        result += c;
    }
    return result;
}

std::string action_of(const Argument& argument) {
    std::string words;
    switch (argument.fill) {
    case Fill::choices:
        for (const std::string& choice : argument.choices) words += (words.empty() ? "" : " ") + choice;
        return "(" + words + ")";
    case Fill::files:
        return "_files";
    case Fill::directories:
        return "_files -/";
    case Fill::caches:
        return "_larder_caches";
    case Fill::keys:
        return "_larder_keys";
    case Fill::nothing:
        break;
    }
    return " ";
}

// Keys that begin as the word does, of the cache that the line names.
constexpr const char* keys_function = R"~(_larder_keys() {{
    local -a chosen keys
    local i
    for ((i = 2; i < CURRENT; ++i)); do
        case $words[i] in
        -c | --cache | --directory) chosen+=($words[i] ${{words[i + 1]}}) ;;
        --cache=* | --directory=*) chosen+=($words[i]) ;;
        esac
    done
    [[ $PREFIX == -* ]] && return 1
    keys=(${{(f)"$(larder dump --json --limit 200 --prefix "$PREFIX" $chosen 2>/dev/null | {})"}})
    compadd -a keys
}}

)~";

std::string option_specification(const Argument& option) {
    std::string others, names, spec;
    for (const std::string& name : option.names) {
        others += (others.empty() ? "" : " ") + name;
        const bool is_long = name.rfind("--", 0) == 0;
        names += (names.empty() ? "" : ",") + name + (option.value.empty() ? "" : is_long ? "=" : "+");
    }
    if (option.repeatable)
        spec = "'*'";
    else if (option.names.size() > 1)
        spec = "'(" + others + ")'";
    spec += option.names.size() > 1 ? "{" + names + "}" : names;
    std::string rest = "[" + escaped(option.meaning) + "]";
    if (!option.value.empty()) rest += ":" + escaped(option.value) + ":" + action_of(option);
    return spec + shell_quoted(rest);
}

std::string positional_specification(const Argument& positional) {
    return shell_quoted((positional.repeatable ? "*:" : ":") + escaped(positional.value) + ":" + action_of(positional));
}

std::string verb_case(const CommandTree& tree, const Verb& verb) {
    std::vector<std::string> lines;
    for (const Argument& option : verb.options) lines.push_back(option_specification(option));
    for (const Argument& option : tree.program.options)
        if (!option.value.empty()) lines.push_back(option_specification(option));
    for (const Argument& positional : verb.positionals) lines.push_back(positional_specification(positional));
    std::string text = fmt::format("    {})\n        _arguments -s", verb.name);
    for (const std::string& line : lines) text += " \\\n            " + line;
    return text + "\n        ;;\n";
}

std::string verb_list(const CommandTree& tree) {
    std::string text = "_larder_verbs() {\n    local -a verbs=(\n";
    for (const Verb& verb : tree.verbs)
        text += "        " + shell_quoted(verb.name + ":" + escaped(verb.summary)) + "\n";
    return text + "    )\n    _describe -t verbs verb verbs\n}\n\n";
}

}  // namespace

std::string zsh_completion(const CommandTree& tree) {
    std::string text = "#compdef larder\n# Completion of larder(1) for zsh.\n\n";
    text += fmt::format("_larder_caches() {{\n    local -a caches=(${{(f)\"$({})\"}})\n    compadd -a caches\n}}\n\n",
                        list_caches);
    text += fmt::format(keys_function, sed_keys);
    text += verb_list(tree);
    text += "_larder() {\n    local context state state_descr line\n    typeset -A opt_args\n    _arguments -C -s";
    for (const Argument& option : tree.program.options) text += " \\\n        " + option_specification(option);
    text += " \\\n        '1:verb:_larder_verbs' \\\n        '*::argument:->verb'\n";
    text += "    [[ $state == verb ]] || return\n    case $words[1] in\n";
    for (const Verb& verb : tree.verbs) text += verb_case(tree, verb);
    return text + "    esac\n}\n\n_larder \"$@\"\n";
}

}  // namespace larder::tools::manual
