#include "tools/settings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <set>

#include "tools/handover.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

/// Of this process; written while the command line is parsed, by its one thread.
struct State {
    SettingsInUse in_use;
    std::set<const OptionRow*> taken;  ///< from the file
    const CLI::App* reads_file_itself = nullptr;
};
State& state() {
    static State the_state;
    return the_state;
}

/// A row whose variable the verb has taken away is an option of the verb's own that only looks like it.
bool is_configurable(const CLI::Option& option, const OptionRow& row) {
    return row.environment.empty() || !option.get_envname().empty();
}

CLI::Option* option_of(CLI::App& app, const OptionRow& row) {
    for (CLI::Option* const option : app.get_options())
        if (row_behind(*option) == &row) return is_configurable(*option, row) ? option : nullptr;
    return nullptr;
}

const CLI::Option* option_of(const CLI::App& app, const OptionRow& row) {
    return option_of(const_cast<CLI::App&>(app), row);
}

/// An option that nobody has given takes the place of a flag.
void give(CLI::Option& option, const ConfigEntry& entry) {
    if (!entry.error.empty()) throw Refusal(kUsage, fmt::format("{}: {}", entry.place(), entry.error));
    option.add_result(entry.text);
    state().taken.insert(entry.row);
}

bool asks_for_help(const CLI::App& app) { return app.get_help_ptr() != nullptr && app.get_help_ptr()->count() != 0; }

bool is_worker(const CLI::App& verb) {
    const CLI::Option* const ticket = verb.get_option_no_throw("--worker");
    return ticket != nullptr && ticket->count() != 0;
}

std::optional<ConfigFile> usable_config_file(const std::string& given) try {
    std::optional<ConfigFile> file = find_config_file(given);
    // Refused by every verb, also by one that only looks: a mistyped `directory` or `cache` would show it another
    // cache than the one that is served, and nobody would know.
    if (file && !file->problems().empty()) throw Refusal(kUsage, file->first_problem());
    return file;
} catch (const ConfigFileError& error) {
    throw Refusal(kUsage, error.what());
}

void take_from_file(CLI::App& program, const std::string& given) {
    SettingsInUse& in_use = state().in_use;
    in_use.given = given;
    if (program.get_subcommands().empty() || asks_for_help(program)) return;
    CLI::App& verb = *program.get_subcommands().front();
    if (asks_for_help(verb) || state().reads_file_itself == &verb) return;
    in_use.file = is_worker(verb) ? Handover::inherited().file : usable_config_file(given);
    in_use.settings = settings_of(program, verb, in_use.file ? &*in_use.file : nullptr);
    if (!in_use.file) return;
    for (const ConfigEntry& entry : in_use.file->entries())
        for (CLI::App* const app : {&verb, &program})
            if (CLI::Option* const option = option_of(*app, *entry.row); option != nullptr && option->count() == 0)
                give(*option, entry);
}

Setting setting_of(const CLI::Option& option, const OptionRow& row, const ConfigFile* file) {
    if (option.count() != 0) {
        const std::string text = option.results().front();
        const char* const variable = variable_of(row);
        if (variable != nullptr && text == variable)
            return {&row, Origin::environment, text, std::string(row.environment)};
        return {&row, Origin::flag, text, std::string(row.flag)};
    }
    const ConfigEntry* const entry = file == nullptr ? nullptr : file->find(row.name);
    if (entry != nullptr) return {&row, Origin::file, entry->text, entry->at};
    return {&row, Origin::fallback, std::string(row.default_text), {}};
}

}  // namespace

CLI::Option* add_config_option(CLI::App& program) {
    CLI::Option* const option = program.add_option_function<std::string>(
        "--config", [&program](const std::string& given) { take_from_file(program, given); },
        fmt::format("The configuration file; `larder config --example` prints one [default: {}, where there is one]",
                    usual_config_path));
    // Called although it was not given, after the flags and variables of the verb and before anybody looks at them.
    return option->type_name("FILE")->envname("LARDER_CONFIG")->force_callback();
}

void leave_file_to(const CLI::App& verb) { state().reads_file_itself = &verb; }

std::optional<ConfigFile> find_config_file(const std::string& given) {
    if (!given.empty()) return ConfigFile::read(given);
    if (::access(usual_config_path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
    return ConfigFile::read(usual_config_path);
}

std::vector<Setting> settings_of(const CLI::App& program, const CLI::App& verb, const ConfigFile* file) {
    std::vector<Setting> settings;
    for (const OptionRow& row : option_table()) {
        const CLI::Option* option = option_of(verb, row);
        if (option == nullptr) option = option_of(program, row);
        if (option != nullptr) settings.push_back(setting_of(*option, row, file));
    }
    std::stable_sort(settings.begin(), settings.end(),
                     [](const Setting& one, const Setting& other) { return one.row->group < other.row->group; });
    return settings;
}

const SettingsInUse& settings_in_use() { return state().in_use; }

std::string place_taken(const OptionRow& row) {
    if (state().taken.count(&row) == 0) return {};
    return state().in_use.file->find(row.name)->place();
}

const ConfigEntry* take_entry(const OptionRow& row) {
    const std::optional<ConfigFile>& file = state().in_use.file;
    const ConfigEntry* const entry = file ? file->find(row.name) : nullptr;
    if (entry == nullptr) return nullptr;
    if (!entry->error.empty()) throw Refusal(kUsage, fmt::format("{}: {}", entry->place(), entry->error));
    state().taken.insert(&row);
    return entry;
}

}  // namespace larder::tools
