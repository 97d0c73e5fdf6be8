// Settings: what flags, environment and configuration file say together, in this order, of the options of the verb that
// is run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/config_file.hpp"
#include "tools/options.hpp"

namespace larder::tools {

enum class Origin { flag, environment, file, fallback };

/// One option of the verb, and who gave its text.
struct Setting {
    const OptionRow* row = nullptr;
    Origin origin = Origin::fallback;
    std::string text;  ///< fallback: the row's default
    std::string at;    ///< `--ttl`, `LARDER_TTL`, `FILE:LINE`, nothing
};

/// --config, for the whole program. When the verb has parsed its flags and variables, what neither names is taken from
/// the file. REQUIRES: added before the program's other options, which the file may name, too.
CLI::Option* add_config_option(CLI::App& program);

/// A verb that reads the file by itself (`larder config`): a broken one does not keep it from running.
void leave_file_to(const CLI::App& verb);

/// What `given` (by --config or LARDER_CONFIG) names, else the file at the usual place, where there is one. Throws
/// ConfigFileError.
std::optional<ConfigFile> find_config_file(const std::string& given);

inline constexpr const char* usual_config_path = "/etc/larder/larder.toml";

/// Of the options of `verb` and of the program that have a row; group by group. REQUIRES: parsed, and
/// nothing was taken from a file.
std::vector<Setting> settings_of(const CLI::App& program, const CLI::App& verb, const ConfigFile* file);

/// What was found for the verb that is run. They stay as they were when it started.
struct SettingsInUse {
    std::string given;               ///< by --config or LARDER_CONFIG
    std::optional<ConfigFile> file;  ///< none: the usual one is not there
    std::vector<Setting> settings;
};
const SettingsInUse& settings_in_use();

/// `FILE:LINE: KEY` when the option's text comes from the file; else nothing.
std::string place_taken(const OptionRow& row);

/// For an option that the verb has by another name: the file's entry, which counts as taken; null: none. Throws Refusal
/// when it is wrong.
const ConfigEntry* take_entry(const OptionRow& row);

}  // namespace larder::tools
