#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/manual/completions.hpp"

namespace larder::tools::manual {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

std::string action_of(const Argument& argument) {
    switch (argument.fill) {
    case Fill::choices:
        return fmt::format("_larder_words {}", shell_quoted(joined(argument.choices)));
    case Fill::files:
        return "_larder_paths -f";
    case Fill::directories:
        return "_larder_paths -d";
    case Fill::caches:
        return "_larder_words \"$(_larder_caches)\"";
    case Fill::keys:
        return "_larder_keys";
    case Fill::nothing:
        break;
    }
    return {};
}

// The flags of a verb by what is done for their values: `'get -c' | 'get --cache') ...; return ;;`.
std::string value_cases(const std::string& verb, const std::vector<Argument>& options) {
    std::vector<std::string> actions, patterns;
    for (const Argument& option : options) {
        if (option.value.empty()) continue;
        const auto found = std::find(actions.begin(), actions.end(), action_of(option));
        const auto place = static_cast<std::size_t>(found - actions.begin());
        if (found == actions.end()) {
            actions.push_back(action_of(option));
            patterns.emplace_back();
        }
        for (const std::string& name : option.names)
            patterns[place] += (patterns[place].empty() ? "" : " | ") +
                               (verb.empty() ? "*' " + name + "'" : "'" + verb + " " + name + "'");
    }
    std::string text;
    for (std::size_t i = 0; i < actions.size(); ++i)
        text += fmt::format("        {}) {}return ;;\n", patterns[i], actions[i].empty() ? "" : actions[i] + "; ");
    return text;
}

std::string value_cases(const CommandTree& tree) {
    std::string text = value_cases("", tree.program.options);
    for (const Verb& verb : tree.verbs) text += value_cases(verb.name, verb.options);
    return text;
}

std::string option_words(const std::vector<Argument>& options) {
    std::vector<std::string> names;
    for (const Argument& option : options) names.push_back(option.names.back());
    return joined(names);
}

// Of the program's options a verb takes those with a value.
std::vector<Argument> with_program_options(const CommandTree& tree, const Verb& verb) {
    std::vector<Argument> options = verb.options;
    for (const Argument& option : tree.program.options)
        if (!option.value.empty()) options.push_back(option);
    return options;
}

std::string flag_cases(const CommandTree& tree) {
    std::string text = fmt::format("            '') _larder_words '{}' ;;\n", option_words(tree.program.options));
    for (const Verb& verb : tree.verbs)
        text += fmt::format("            {}) _larder_words '{}' ;;\n", verb.name,
                            option_words(with_program_options(tree, verb)));
    return text;
}

std::string positional_cases(const CommandTree& tree) {
    std::vector<std::string> names;
    for (const Verb& verb : tree.verbs) names.push_back(verb.name);
    std::string text = fmt::format("        '') _larder_words '{}' ;;\n", joined(names));
    for (const Verb& verb : tree.verbs)
        for (const Argument& positional : verb.positionals)
            if (positional.fill != Fill::nothing)
                text += fmt::format("        {}) {} ;;\n", verb.name, action_of(positional));
    return text;
}

std::string program_flags_with_value(const CommandTree& tree) {
    std::string patterns;
    for (const Argument& option : tree.program.options)
        for (const std::string& name : option.names)
            if (!option.value.empty()) patterns += (patterns.empty() ? "" : " | ") + name;
    return patterns;
}

constexpr const char* helpers = R"(# Completion of larder(1) for bash.

_larder_caches() { @CACHES@; }

_larder_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current"); }

_larder_paths() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
    compopt -o filenames 2>/dev/null
}

# Keys that begin as the word does, which bash has parted at its colons, of the cache that the line names.
_larder_keys() {
    local line=${COMP_LINE-} i word
    local -a chosen=()
    for ((i = 1; i < COMP_CWORD; ++i)); do
        [[ ${COMP_WORDS[i]} == @SELECTION@ ]] || continue
        word=${COMP_WORDS[i + 1]}
        [[ $word == = ]] && word=${COMP_WORDS[i + 2]-}
        chosen+=("${COMP_WORDS[i]}" "$word")
    done
    line=${line:0:${COMP_POINT:-0}}
    word=${line##*[[:space:]]}
    [[ $word == -* ]] && return
    mapfile -t COMPREPLY < <(larder dump --json --limit 200 --prefix "$word" "${chosen[@]}" 2>/dev/null | @KEYS@ | sort)
    [[ $word == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
}

)";

// A value stands behind its flag as a word of its own or behind `=`, at which bash parts words.
constexpr const char* analysis = R"(_larder() {
    local current=${COMP_WORDS[COMP_CWORD]-} flag=${COMP_WORDS[COMP_CWORD - 1]-} verb='' ended='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; ++i)); do
        case ${COMP_WORDS[i]} in
        --) ended=yes ;;
        @VALUED@) [[ ${COMP_WORDS[i + 1]-} == = ]] && ((++i)); ((++i)) ;;
        -*) ;;
        *) [[ $verb ]] || verb=${COMP_WORDS[i]} ;;
        esac
    done
    if [[ $current == = ]]; then
        current=''
    elif [[ $flag == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]-}
    fi
    if [[ ! $ended ]]; then
        case "$verb $flag" in
)";

std::string replaced(std::string text, const std::string& mark, const std::string& by) {
    return text.replace(text.find(mark), mark.size(), by);
}

}  // namespace

std::string shell_quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

std::string bash_completion(const CommandTree& tree) {
    const std::string functions = replaced(replaced(helpers, "@CACHES@", list_caches), "@KEYS@", sed_keys);
    return replaced(functions, "@SELECTION@", "@(-c|--cache|--directory)") +
           replaced(analysis, "@VALUED@", program_flags_with_value(tree)) + value_cases(tree) +
           "        esac\n"
           "        if [[ $current == -* ]]; then\n"
           "            case $verb in\n" +
           flag_cases(tree) +
           "            esac\n"
           "            return\n"
           "        fi\n"
           "    fi\n"
           "    case $verb in\n" +
           positional_cases(tree) +
           "    esac\n"
           "}\n"
           "complete -F _larder larder\n";
}

}  // namespace larder::tools::manual
