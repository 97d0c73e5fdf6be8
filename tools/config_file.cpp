#include "tools/config_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "shm/system.hpp"
#include "tools/nearest_word.hpp"

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// A file that is no TOML makes toml++ 3.3 assert before it throws the error.
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

namespace larder::tools {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw ConfigFileError(fmt::format("configuration file {}: {}", path, why));
}

std::string error_text(int error) { return std::generic_category().message(error); }

std::string bytes_of(const std::string& path) {
    const shm::system::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file.is_open() && errno == ENOENT)
        refuse(path, "there is none; `larder config --example` prints one to begin with");
    if (!file.is_open()) refuse(path, error_text(errno) + "; let this user read it, or name another one with --config");
    struct stat status {};
    if (::fstat(file.number(), &status) == 0 && S_ISFIFO(status.st_mode))
        refuse(path, "it is a pipe, which cannot be read again; name a file");
    std::string bytes;
    for (char buffer[16 * 1024];;) {
        const ssize_t count = ::read(file.number(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EISDIR) refuse(path, "it is a directory; name the file in it");
        if (count < 0) refuse(path, error_text(errno));
        if (count == 0) return bytes;
        bytes.append(buffer, static_cast<std::size_t>(count));
        if (bytes.size() > ConfigFile::max_bytes) refuse(path, "it is above 64 KiB, which no configuration needs");
    }
}

bool takes_numbers(const OptionRow& row) { return row.unit == "N" || row.unit == "SIZE" || row.unit == "DURATION"; }
bool takes_switch(const OptionRow& row) { return row.unit == "true|false"; }

/// What a value of the row looks like.
std::string wanted(const OptionRow& row) {
    if (takes_switch(row)) return "write true or false";
    if (row.unit == "N") return "write a whole number";
    if (row.unit == "SIZE") return "write a whole number of bytes, or a size in quotes, such as \"256MiB\"";
    if (row.unit == "DURATION") return "write a whole number of seconds, or a duration in quotes, such as \"300s\"";
    return fmt::format("write a text in quotes: {} = \"{}\"", row.name, row.unit);
}

/// The text or the error of an entry.
void read_value(const toml::node& node, ConfigEntry& entry) {
    const OptionRow& row = *entry.row;
    if (const auto text = node.value_exact<std::string>(); text) {
        entry.text = *text;
        if (text->find('\0') != std::string::npos) entry.error = "a text has no zero byte in it";
    } else if (const auto number = node.value_exact<std::int64_t>(); number && takes_numbers(row)) {
        entry.text = fmt::format("{}", *number);
    } else if (const auto is_on = node.value_exact<bool>(); is_on && takes_switch(row)) {
        entry.text = *is_on ? "true" : "false";
    } else {
        entry.error = "a value of this kind is not taken: " + wanted(row);
    }
}

const OptionRow* row_named(std::string_view name) {
    for (const OptionRow& row : option_table())
        if (row.name == name) return &row;
    return nullptr;
}

std::vector<std::string> section_names() {
    std::vector<std::string> names;
    for (const OptionRow& row : option_table())
        if (std::string name(section_of(row.group)); std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(std::move(name));
    return names;
}

std::string suggestion(const std::string& nearest) {
    return nearest.empty() ? "`larder config --example` has all of them" : fmt::format("did you mean `{}`?", nearest);
}

/// The first of the rows' names that is near; those of the section go before.
std::string nearest_key(std::string_view typed, std::string_view section) {
    std::vector<std::string> here, anywhere;
    for (const OptionRow& row : option_table()) {
        anywhere.emplace_back(row.name);
        if (section_of(row.group) == section) here.emplace_back(row.name);
    }
    const std::string nearest = nearest_word(typed, here);
    return nearest.empty() ? nearest_word(typed, anywhere) : nearest;
}

/// Walks the file's tables.
class Reader {
public:
    explicit Reader(const std::string& path) : path_(path) {}

    void read(const toml::table& file) {
        const std::vector<std::string> sections = section_names();
        for (const auto& [key, node] : file) {
            const std::string name(key.str());
            const bool is_section = std::find(sections.begin(), sections.end(), name) != sections.end();
            if (is_section && node.is_table())
                read_section(name, *node.as_table());
            else if (is_section)
                complain(key, fmt::format("`{0}` is a section: write [{0}] on a line of its own, and its keys below it",
                                          name));
            else if (node.is_table() || node.is_array_of_tables())
                complain(key, fmt::format("unknown section [{}]; {}", name, suggestion(nearest_word(name, sections))));
            else
                complain_of_key(key, {});
        }
    }
    std::vector<ConfigEntry> entries;
    std::vector<std::pair<std::size_t, std::string>> problems;  ///< with their lines

private:
    void read_section(const std::string& section, const toml::table& table) {
        for (const auto& [key, node] : table) {
            const OptionRow* const row = row_named(key.str());
            if (row == nullptr || section_of(row->group) != section) {
                complain_of_key(key, section);
                continue;
            }
            const std::size_t line = key.source().begin.line;
            ConfigEntry entry{row, {}, fmt::format("{}:{}", path_, line), {}, line};
            read_value(node, entry);
            entries.push_back(std::move(entry));
        }
    }
    /// Of a key that is not known where it stands; `section` empty: above all sections.
    void complain_of_key(const toml::key& key, const std::string& section) {
        const std::string place = section.empty() ? "above all sections" : fmt::format("in [{}]", section);
        if (const OptionRow* const row = row_named(key.str()); row != nullptr)
            return complain(
                key, fmt::format("`{}` stands {}: write it below [{}]", row->name, place, section_of(row->group)));
        const std::string nearest = nearest_key(key.str(), section);
        const OptionRow* const meant = row_named(nearest);
        const bool elsewhere = meant != nullptr && section_of(meant->group) != section;
        complain(key, fmt::format("unknown key `{}` {}; {}", key.str(), place,
                                  elsewhere
                                      ? fmt::format("did you mean `{}`, below [{}]?", nearest, section_of(meant->group))
                                      : suggestion(nearest)));
    }
    void complain(const toml::key& key, const std::string& what) {
        const std::size_t line = key.source().begin.line;
        problems.emplace_back(line, fmt::format("{}:{}: {}", path_, line, what));
    }

    const std::string& path_;
};

}  // namespace

std::string ConfigEntry::place() const { return fmt::format("{}: {}", at, row->name); }

ConfigFile ConfigFile::read(const std::string& path) { return parse(path, bytes_of(path)); }

ConfigFile ConfigFile::parse(std::string path, std::string_view text) {
    ConfigFile file;
    file.path_ = std::move(path);
    try {
        Reader reader(file.path_);
        reader.read(toml::parse(text));
        file.entries_ = std::move(reader.entries);
        std::sort(file.entries_.begin(), file.entries_.end(),
                  [](const ConfigEntry& one, const ConfigEntry& other) { return one.line < other.line; });
        std::stable_sort(reader.problems.begin(), reader.problems.end());
        for (auto& [line, problem] : reader.problems) file.problems_.push_back(std::move(problem));
    } catch (const toml::parse_error& error) {
        file.problems_.push_back(
            fmt::format("{}:{}: this is no TOML: {}", file.path_, error.source().begin.line, error.description()));
    }
    return file;
}

ConfigFile ConfigFile::of(std::string path, std::vector<ConfigEntry> entries) {
    ConfigFile file;
    file.path_ = std::move(path);
    file.entries_ = std::move(entries);
    return file;
}

const ConfigEntry* ConfigFile::find(std::string_view name) const {
    for (const ConfigEntry& entry : entries_)
        if (entry.row->name == name) return &entry;
    return nullptr;
}

std::string ConfigFile::first_problem() const {
    if (problems_.empty()) return {};
    const std::size_t more = problems_.size() - 1;
    return more == 0 ? problems_.front()
                     : fmt::format("{} ({} more: `larder config --check` has them all)", problems_.front(), more);
}

}  // namespace larder::tools
