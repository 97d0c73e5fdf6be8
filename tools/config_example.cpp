#include "tools/config_example.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "tools/options.hpp"
#include "tools/settings.hpp"

namespace larder::tools {
namespace {

constexpr std::size_t kColumns = 100;

/// A text that the option takes, rather than a sentence about it.
bool is_text(const OptionRow& row, std::string_view text) try {
    if (text.empty() || text.find(' ') != std::string_view::npos) return false;
    check_text(row, text);
    return true;
} catch (const std::invalid_argument&) {
    return false;
}

/// Of `a|b|c` the one that the sentence about the default begins with, else the first. Empty: none is taken.
std::string_view choice_of(const OptionRow& row) {
    std::string_view chosen;
    for (std::size_t begin = 0; begin < row.unit.size();) {
        const std::size_t end = std::min(row.unit.find('|', begin), row.unit.size());
        const std::string_view choice = row.unit.substr(begin, end - begin);
        const bool is_usual = row.default_text.substr(0, choice.size()) == choice;
        if (is_text(row, choice) && (chosen.empty() || is_usual)) chosen = choice;
        begin = end + 1;
    }
    return chosen;
}

/// One that the option takes, or the name of what it takes.
std::string_view specimen(const OptionRow& row) {
    if (is_text(row, row.default_text)) return row.default_text;
    if (row.unit.find('|') != std::string_view::npos)
        if (const std::string_view choice = choice_of(row); !choice.empty()) return choice;
    if (row.unit == "SIZE" || row.unit == "DURATION" || row.unit == "N" || row.unit == "HH:MM")
        for (const std::string_view usual : {"256MiB", "60s", "10000", "16", "04:00"})
            if (is_text(row, usual)) return usual;
    return row.unit;
}

std::string value_text(const OptionRow& row) {
    const std::string_view text = specimen(row);
    const bool is_bare = row.unit == "true|false" || (row.unit == "N" && is_text(row, text));
    return is_bare ? std::string(text) : fmt::format("\"{}\"", text);
}

/// Words of comments, as long as a line takes them.
void add_comment(std::string& out, std::string_view text) {
    std::string line = "#";
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (line.size() > 1 && line.size() + 1 + end > kColumns) {
            out += line + "\n";
            line = "#";
        }
        line += fmt::format(" {}", text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    out += line + "\n";
}

void add_row(std::string& out, const OptionRow& row) {
    add_comment(out, fmt::format("{}.", row.meaning));
    const std::string variable = row.environment.empty() ? "" : fmt::format(", {}", row.environment);
    const std::string usual = row.default_text.empty() ? "none" : std::string(row.default_text);
    add_comment(out, fmt::format("({}{}; default: {})", row.flag, variable, usual));
    out += fmt::format("#{} = {}\n\n", row.name, value_text(row));
}

}  // namespace

std::string config_example() {
    std::string out;
    add_comment(out, fmt::format("The configuration of Larder: {}, or what --config or LARDER_CONFIG names. A flag "
                                 "beats the environment, which beats this file.",
                                 usual_config_path));
    add_comment(out,
                "Take the # from the front of a key to set it. `larder config --check` says what is wrong here, "
                "`larder config` what is in force. Sizes and durations are texts in quotes, or whole numbers of "
                "bytes and seconds. After a change: SIGHUP to `larder serve`, or start it anew.");
    std::vector<OptionGroup> groups;
    for (const OptionRow& row : option_table())
        if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
    for (const OptionGroup group : groups) {
        out += fmt::format("\n[{}]\n\n", section_of(group));
        for (const OptionRow& row : option_table())
            if (row.group == group) add_row(out, row);
        out.pop_back();
    }
    return out;
}

}  // namespace larder::tools
