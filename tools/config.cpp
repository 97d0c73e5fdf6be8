// larder config: what is in force, and whether the configuration file is good.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <map>
#include <memory>

#include "tools/config_check.hpp"
#include "tools/config_example.hpp"
#include "tools/json_lines.hpp"
#include "tools/open_database.hpp"
#include "tools/settings.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr const char* kFooter =
    "A flag beats the environment, which beats the file; each option for itself. The file is named by --config, else\n"
    "by LARDER_CONFIG, else it is /etc/larder/larder.toml, where there is one. `larder serve` reads it again at "
    "SIGHUP.";

struct Arguments {
    std::map<std::string_view, std::string> texts;
    std::vector<Setting> settings;
    std::optional<ConfigFile> file;
    bool check = false, example = false, json = false;
};

void complain_of(const std::vector<std::string>& problems) {
    for (const std::string& problem : problems) complain(fmt::format("larder: {}\n", escaped(problem)));
}

const char* name_of(Origin origin) {
    switch (origin) {
    case Origin::flag:
        return "flag";
    case Origin::environment:
        return "environment";
    case Origin::file:
        return "file";
    case Origin::fallback:
        return "default";
    }
    return "";
}

std::string shown(const Setting& setting) { return without_secrets(*setting.row, setting.text); }

void print_table(const Arguments& arguments) {
    std::string section;
    for (const Setting& setting : arguments.settings) {
        if (section_of(setting.row->group) != section) {
            section = section_of(setting.row->group);
            print(fmt::format("{}[{}]\n", &setting == &arguments.settings.front() ? "" : "\n", section));
        }
        const std::string value = setting.text.empty() ? "-" : escaped(shown(setting));
        const std::string from =
            setting.at.empty() ? name_of(setting.origin) : fmt::format("{} {}", name_of(setting.origin), setting.at);
        print(fmt::format("{:<18} {:<24} {}\n", setting.row->name, value, escaped(from)));
    }
}

void print_settings_json(const Arguments& arguments) {
    boost::json::array options;
    for (const Setting& setting : arguments.settings) {
        boost::json::object option{{"name", setting.row->name}, {"section", section_of(setting.row->group)}};
        put_text(option, "value", shown(setting));
        option["from"] = name_of(setting.origin);
        put_text(option, "at", setting.at);
        options.push_back(std::move(option));
    }
    boost::json::object document;
    document["file"] = nullptr;
    if (arguments.file) put_text(document, "file", arguments.file->path());
    document["options"] = std::move(options);
    print_json(document);
}

/// Of the texts that are in force; the same words that a verb with that option would have for them.
std::vector<std::string> problems_of(const Arguments& arguments) {
    std::vector<std::string> problems;
    if (arguments.file) problems = arguments.file->problems();
    for (const Setting& setting : arguments.settings) {
        if (setting.origin == Origin::fallback) continue;
        const ConfigEntry* const entry =
            setting.origin == Origin::file ? arguments.file->find(setting.row->name) : nullptr;
        const std::string where = entry == nullptr ? setting.at : entry->place();
        try {
            if (entry != nullptr && !entry->error.empty()) throw std::invalid_argument(entry->error);
            check_text(*setting.row, setting.text);
        } catch (const std::invalid_argument& error) {
            problems.push_back(fmt::format("{}: {}", where, error.what()));
        }
    }
    return problems;
}

int show(const Arguments& arguments) {
    if (arguments.json)
        print_settings_json(arguments);
    else
        print_table(arguments);
    const std::vector<std::string> problems = problems_of(arguments);
    complain_of(problems);
    return problems.empty() ? kOk : kUsage;
}

/// By a flag or variable; empty: the file may.
std::string other_key_file(const Arguments& arguments) {
    for (const Setting& setting : arguments.settings)
        if (setting.row->name == "auth-key-file" &&
            (setting.origin == Origin::flag || setting.origin == Origin::environment))
            return setting.text;
    return {};
}

int check(const Arguments& arguments) {
    if (!arguments.file)
        throw Refusal(kUsage, fmt::format("there is no {} to check; name another file with --config, or begin one with "
                                          "`larder config --example`",
                                          usual_config_path));
    const std::vector<std::string> problems = config_problems(*arguments.file, other_key_file(arguments));
    if (arguments.json) {
        boost::json::array list;
        for (const std::string& problem : problems) list.emplace_back(problem);
        boost::json::object document;
        put_text(document, "file", arguments.file->path());
        document["problems"] = std::move(list);
        print_json(document);
    } else if (problems.empty()) {
        print(fmt::format("ok {}\n", escaped(arguments.file->path())));
    }
    complain_of(problems);
    return problems.empty() ? kOk : kUsage;
}

int run(const Arguments& arguments) { return arguments.check ? check(arguments) : show(arguments); }

}  // namespace

void add_config(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb =
        program.add_subcommand("config", "What is in force of all options and where each comes from; checks the file");
    leave_file_to(*verb);
    CLI::Option* const check = verb->add_flag("--check", arguments->check,
                                              "Check the file as `larder serve` would: `ok FILE`, or all that is "
                                              "wrong and exit code 2");
    verb->add_flag("--example", arguments->example, "Print a file with every option, its meaning and its default")
        ->excludes(check);
    verb->add_flag("--json", arguments->json,
                   "{file, options: [{name, section, value, from, at}]}; with --check "
                   "{file, problems: [..]}");
    for (const OptionRow& row : option_table())
        if (row.group != OptionGroup::log) add_text_option(*verb, row.name, arguments->texts[row.name]);
    verb->footer(kFooter);
    verb->callback([&program, verb, arguments, &action] {
        if (arguments->example) return void(action = [] { return print(config_example()), kOk; });
        try {
            arguments->file = find_config_file(settings_in_use().given);
        } catch (const ConfigFileError& error) {
            throw Refusal(kUsage, error.what());
        }
        arguments->settings = settings_of(program, *verb, arguments->file ? &*arguments->file : nullptr);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
