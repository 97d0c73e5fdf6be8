// ConfigFile: what one TOML file says about the rows of the option table.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tools/options.hpp"

namespace larder::tools {

/// The file cannot be read; what() names it, says why, and what to do.
struct ConfigFileError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One key of the file.
struct ConfigEntry {
    const OptionRow* row = nullptr;
    std::string text;      ///< as it would be written behind the flag
    std::string at;        ///< `FILE:LINE`
    std::string error;     ///< why it is no text at all, and what to write; empty: it is one
    std::size_t line = 0;  ///< from 1 on

    /// `FILE:LINE: KEY`, for messages.
    std::string place() const;
};

/// Its sections are the groups of the table, its keys the names of the rows. Immutable after it was made.
class ConfigFile {
public:
    static constexpr std::size_t max_bytes = 64 << 10;  ///< toml++ recurses where names are nested

    /// Throws ConfigFileError where the file cannot be read; what it says wrongly is among the problems.
    static ConfigFile read(const std::string& path);
    static ConfigFile parse(std::string path, std::string_view text);
    /// As another process read it.
    static ConfigFile of(std::string path, std::vector<ConfigEntry> entries);

    const std::string& path() const { return path_; }
    /// In the order of the file.
    const std::vector<ConfigEntry>& entries() const { return entries_; }
    /// Null: the file does not say.
    const ConfigEntry* find(std::string_view name) const;

    /// `FILE:LINE: what is wrong, and what to write`: it is no TOML, or has a key or section that nothing knows. What
    /// is wrong with an entry is the entry's matter.
    const std::vector<std::string>& problems() const { return problems_; }
    /// The first of them, and how many there are besides. Empty: none.
    std::string first_problem() const;

private:
    std::string path_;
    std::vector<ConfigEntry> entries_;
    std::vector<std::string> problems_;
};

}  // namespace larder::tools
