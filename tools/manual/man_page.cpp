#include "tools/manual/man_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "shm/counters.hpp"
#include "tools/manual/roff.hpp"
#include "tools/options.hpp"
#include "tools/program.hpp"
#include "tools/verb_texts.hpp"

namespace larder::tools::manual {
namespace {

constexpr std::string_view exit_mark = "Exit code";

std::string bold(std::string_view text) { return "\\fB" + roff_typed(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff_typed(text) + "\\fR"; }
std::string reference(std::string_view page) { return fmt::format("\\fB{}\\fR(1)", roff_typed(page)); }

// A summary in NAME begins small, unless its first word is a name.
std::string as_name_text(std::string text) {
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0)
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

std::string sentence(std::string text) {
    if (!text.empty() && std::string_view(".?}").find(text.back()) == std::string_view::npos) text += '.';
    return text;
}

std::string value_roff(const Argument& argument) {
    if (argument.choices.empty()) return italic(argument.value);
    std::string text;
    for (const std::string& choice : argument.choices) text += (text.empty() ? "" : "|") + bold(choice);
    return text;
}

std::string heading_of(const Argument& option) {
    std::string text;
    for (const std::string& name : option.names) text += (text.empty() ? "" : ", ") + bold(name);
    return option.value.empty() ? text : text + " " + value_roff(option);
}

std::string meaning_of(const Argument& argument) {
    std::string text = sentence(argument.meaning);
    if (text.rfind('{', 0) == 0) text = "Print JSON: " + text;
    if (argument.required) text += " Required.";
    if (argument.repeatable) text += " May be given several times.";
    if (!argument.default_text.empty()) text += fmt::format(" Default: {}.", argument.default_text);
    if (!argument.environment.empty()) text += fmt::format(" Environment: `{}`.", argument.environment);
    return text;
}

void write_options(Roff& page, const std::vector<Argument>& options) {
    std::vector<std::string> groups;
    for (const Argument& option : options)
        if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
    std::stable_partition(groups.begin(), groups.end(), [](const std::string& group) { return group == "Options"; });
    for (const std::string& group : groups) {
        if (group != "Options") page.subsection(group);
        for (const Argument& option : options)
            if (option.group == group) page.item(heading_of(option), meaning_of(option));
    }
}

bool has_units(const Verb& verb) {
    return std::any_of(verb.options.begin(), verb.options.end(), [](const Argument& option) {
        return option.value == "DURATION" || option.value == "[DURATION]" || option.value == "SIZE";
    });
}

void write_units(Roff& page) {
    page.subsection("Values");
    page.paragraph(units_text);
}

void write_synopsis(Roff& page, const Verb& verb) {
    page.section("SYNOPSIS");
    std::string text = bold("larder") + " " + bold(verb.name);
    for (const Argument& option : verb.options)
        if (option.required) text += fmt::format(" {} {}", bold(option.names.back()), value_roff(option));
    text += " [" + italic("OPTION") + "]...";
    for (const Argument& positional : verb.positionals) {
        const std::string name = italic(positional.value) + (positional.repeatable ? "..." : "");
        text += positional.required ? " " + name : fmt::format(" [{}]", name);
    }
    page.line(text);
}

void write_environment(Roff& page, const std::vector<Argument>& options, bool of_program) {
    page.section("ENVIRONMENT");
    if (of_program)
        for (const OptionRow& row : option_table()) {
            if (row.environment.empty()) continue;
            page.item(bold(row.environment), fmt::format("`{}`: {}", row.flag, sentence(std::string(row.meaning))));
        }
    else
        for (const Argument& option : options)
            if (!option.environment.empty())
                page.item(bold(option.environment), fmt::format("In place of `{}`.", option.names.back()));
    page.item(bold("NO_COLOR"), "Where it is set, nothing is coloured.");
    if (of_program)
        page.paragraph(
            "An option that is given goes before its variable, and that before the configuration file; an empty "
            "variable is none.");
}

void write_exit_status(Roff& page, const std::string& footer) {
    page.section("EXIT STATUS");
    for (const ExitCodeText& row : exit_code_table)
        page.item(bold(std::to_string(static_cast<int>(row.code))), row.in_the_page);
    const std::size_t at = footer.find(exit_mark);
    if (at != std::string::npos) page.paragraph(footer.substr(at));
}

void write_description(Roff& page, const Verb& verb) {
    page.section("DESCRIPTION");
    const VerbText* const text = verb_text(verb.name);
    page.paragraph(text != nullptr ? std::string(text->description) : sentence(verb.summary));
    std::string notes = verb.footer.substr(0, verb.footer.find(exit_mark));
    notes.erase(notes.find_last_not_of(" \n") + 1);
    if (!notes.empty() && !verb.name.empty()) page.paragraph(notes);
}

void write_examples(Roff& page, const Verb& verb) {
    const VerbText* const text = verb_text(verb.name);
    if (text == nullptr || text->examples.empty()) return;
    page.section("EXAMPLES");
    for (const VerbExample& example : text->examples) {
        page.paragraph(example.what);
        page.typed_block(example.command);
    }
}

void write_see_also(Roff& page, const std::vector<std::string>& pages) {
    page.section("SEE ALSO");
    for (std::size_t i = 0; i < pages.size(); ++i) page.line(reference(pages[i]) + (i + 1 < pages.size() ? "," : ""));
}

void write_counters(Roff& page) {
    page.section("COUNTERS");
    page.paragraph("All are sums over all processes since the cache was made.");
    for (const shm::CounterText& row : shm::kCounterTable) {
        std::string text(row.meaning);
        text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
        page.item(bold(row.name), fmt::format("{}{}{}", sentence(text), row.remedy.empty() ? "" : " ", row.remedy));
    }
}

void write_files(Roff& page) {
    page.section("FILES");
    page.paragraph(
        fmt::format("The files of a cache are in its directory, by default {}:", option_row("directory").default_text));
    page.item(italic("NAME") + ".seg", "The segment: everything that is cached.");
    page.item(italic("NAME") + ".sock", "The socket that takes invalidations.");
    page.item(italic("NAME") + ".lock", "Which processes have it open and are alive.");
    page.item(italic("NAME") + ".listen", "Who listens on the socket.");
    page.paragraph("And the configuration, where nothing names another one:");
    page.item(italic("/etc/larder/larder.toml"), "See `larder config --example`.");
}

}  // namespace

std::string page_name(const Verb& verb) { return verb.name.empty() ? "larder" : "larder-" + verb.name; }

std::string program_page(const CommandTree& tree, const Edition& edition) {
    std::string summary = tree.program.summary;
    if (const std::size_t colon = summary.find(": "); colon != std::string::npos) summary.erase(0, colon + 2);
    Roff page("larder", summary, edition.date, edition.version);
    page.section("SYNOPSIS");
    page.line(
        fmt::format("{} [{}]... {} [{}]...", bold("larder"), italic("OPTION"), italic("VERB"), italic("ARGUMENT")));
    write_description(page, tree.program);
    page.section("VERBS");
    for (const Verb& verb : tree.verbs) page.item(reference(page_name(verb)), sentence(verb.summary));
    page.section("OPTIONS");
    page.paragraph("They are taken behind the verb, too.");
    write_options(page, tree.program.options);
    write_units(page);
    write_environment(page, tree.program.options, true);
    write_exit_status(page, {});
    write_files(page);
    write_examples(page, tree.program);
    std::vector<std::string> pages;
    for (const Verb& verb : tree.verbs) pages.push_back(page_name(verb));
    std::sort(pages.begin(), pages.end());
    write_see_also(page, pages);
    return page.text();
}

std::string verb_page(const CommandTree& tree, const Verb& verb, const Edition& edition) {
    Roff page(page_name(verb), as_name_text(verb.summary), edition.date, edition.version);
    write_synopsis(page, verb);
    write_description(page, verb);
    page.section("OPTIONS");
    for (const Argument& positional : verb.positionals) page.item(italic(positional.value), meaning_of(positional));
    write_options(page, verb.options);
    page.subsection("Of every verb");
    for (const Argument& option : tree.program.options)
        if (!option.value.empty()) page.item(heading_of(option), meaning_of(option));
    if (has_units(verb)) write_units(page);
    if (verb.name == "stat") write_counters(page);
    std::vector<Argument> all = verb.options;
    all.insert(all.end(), tree.program.options.begin(), tree.program.options.end());
    write_environment(page, all, false);
    write_exit_status(page, verb.footer);
    write_examples(page, verb);
    std::vector<std::string> pages{"larder"};
    if (const VerbText* const text = verb_text(verb.name))
        for (const std::string_view other : text->see_also) pages.push_back("larder-" + std::string(other));
    write_see_also(page, pages);
    return page.text();
}

}  // namespace larder::tools::manual
