// The one table of options: flags, environment variables, keys of the configuration file, help text, and the README's
// list come from its rows.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shm/cache.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace larder::tools {

/// Which cache; what a new cache is like; how this process behaves; what a service needs; what an import reads; what is
/// logged. A section of the configuration file each.
enum class OptionGroup { selection, geometry, behaviour, service, files, log };

/// `cache`, `new-cache`, `behaviour`, `serve`, `import`, `log`.
std::string_view section_of(OptionGroup group);

struct OptionRow {
    std::string_view name;          ///< without dashes; unique; the key in the configuration file
    std::string_view flag;          ///< as on the command line
    std::string_view environment;   ///< empty: none
    std::string_view unit;          ///< NAME, SIZE, DURATION, N, FILE, ...
    std::string_view default_text;  ///< as the user would write it, or a sentence
    std::string_view meaning;
    OptionGroup group;
    /// Parses the text into the cache's options; throws std::invalid_argument. Null for a service's own options.
    void (*apply)(Options&, std::string_view text);
    /// Throws std::invalid_argument where a service would not take the text. Null: `apply` says it, or any text is
    /// good.
    void (*check)(std::string_view text) = nullptr;
    /// A service's own option that a running `larder serve` takes from a reloaded file: its workers, which are
    /// replaced, or its supervisor do. Behaviour is always taken; what a cache is and where it lies never.
    bool reloads = false;
};

/// `apply` or `check`, on nothing. Throws std::invalid_argument.
void check_text(const OptionRow& row, std::string_view text);

std::span<const OptionRow> option_table();

/// REQUIRES: the table has it.
const OptionRow& option_row(std::string_view name);

/// The row behind a verb's option; null: it is the verb's own.
const OptionRow* row_behind(const CLI::Option& option);

/// The row's variable; null: it has none, or it is unset or empty.
const char* variable_of(const OptionRow& row);

/// Where a text of this option came from: the place in the configuration file when it was taken from there, else the
/// variable when that has this very text, else the flag. For messages.
std::string name_for(std::string_view name, std::string_view text);

/// As name_for, of the size of a new cache, by its bytes in decimal.
std::string name_for_size(std::string_view bytes);

/// What the row's variable says, else the configuration file, for a verb that has no such flag. Throws
/// CLI::ValidationError, which names it.
void apply_setting(std::string_view name, Options& options);

/// Adds one row's flag to a verb; what is given goes through `apply` into `options`.
CLI::Option* add_cache_option(CLI::App& verb, std::string_view name, Options& options);

/// Adds one row of a service's own options; the text goes into `target`.
CLI::Option* add_text_option(CLI::App& verb, std::string_view name, std::string& target);

/// A whole number from 0 on, a duration above 0: options of one verb alone.
CLI::Option* add_count(CLI::App& verb, const std::string& flag, std::uint64_t& target, const std::string& meaning);
CLI::Option* add_duration(CLI::App& verb, const std::string& flag, std::chrono::milliseconds& target,
                          const std::string& meaning);
/// As add_duration, but the flag may stand alone: then it is `otherwise`.
CLI::Option* add_duration_or(std::chrono::milliseconds otherwise, CLI::App& verb, const std::string& flag,
                             std::chrono::milliseconds& target, const std::string& meaning);

/// Refuses what is no id: a whole number above 0. Returns the option.
CLI::Option* require_ids(CLI::Option* option);

/// The required positional ID.
CLI::Option* add_id(CLI::App& verb, std::int64_t& target);

/// -c/--cache and --directory. Sets `create` to false: verbs that only look make no cache.
void add_selection(CLI::App& verb, Options& options);

/// The rows of one group, each through its `apply`. REQUIRES: not the service's.
void add_group(CLI::App& verb, OptionGroup group, Options& options);

/// All rows for the cache: selection, geometry and behaviour. `options.create` stays true.
void add_cache_options(CLI::App& verb, Options& options);

}  // namespace larder::tools
