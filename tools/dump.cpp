// larder dump: the entries of a cache, page by page; changes neither counters nor the order of eviction.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>

#include "tools/durations_sizes.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::size_t kPage = 256;
constexpr std::size_t kShownValue = 60;

struct Arguments {
    Options cache;
    shm::EntryFilter filter;
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
    bool json = false;
};

std::string joined(const std::vector<std::string>& tags) {
    std::string text;
    for (const std::string& tag : tags) text += (text.empty() ? "" : ",") + escaped(tag);
    return text;
}

std::string table_line(const shm::Entry& entry, const EntryLine& line, bool with_value) {
    const auto time = [](std::int64_t ms) { return duration_text(std::chrono::milliseconds(ms)); };
    std::string text =
        fmt::format("{:<40} {:>9} {:>8} {:>8} {:>8} {:>9} {:<11} {}", escaped(entry.key), size_text(entry.value_bytes),
                    time(line.ttl_ms), time(line.age_ms), line.last_used_ms ? time(*line.last_used_ms) : "-",
                    line.hits ? fmt::format("{}", *line.hits) : "-", shm::name_of(entry.state), joined(entry.tags));
    if (with_value) text += "  " + escaped(entry.value, kShownValue);
    while (text.back() == ' ') text.pop_back();
    return text + "\n";
}

std::string header_line() {
    return fmt::format("{:<40} {:>9} {:>8} {:>8} {:>8} {:>9} {:<11} {}\n", "KEY", "SIZE", "TTL", "AGE", "LAST USE",
                       "HITS 24h", "STATE", "TAGS");
}

int run(const Arguments& arguments) {
    const Inspection inspection = inspect(arguments.cache);
    shm::EntryCursor cursor(inspection.view(), arguments.filter);
    Progress progress("reading entries");
    const bool bar = !is_terminal(1);  // the lines themselves are progress enough
    if (!arguments.json) print(header_line());
    for (std::uint64_t shown = 0; shown < arguments.limit;) {
        const std::int64_t now_ns = segment_now_ns();
        const auto page = cursor.next(std::min<std::uint64_t>(kPage, arguments.limit - shown), now_ns);
        if (page.empty()) break;
        std::string text;
        for (const shm::Entry& entry : page) {
            const EntryLine line = entry_line(inspection.view(), entry, now_ns);
            text += arguments.json ? json_text(entry_json(entry, line, arguments.filter.values)) + "\n"
                                   : table_line(entry, line, arguments.filter.values);
        }
        print(text);
        shown += page.size();
        if (bar) progress.show(cursor.walked(), cursor.total());
    }
    return kOk;
}

}  // namespace

void add_dump(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("dump", "List the entries of a cache: live, stale and negative ones");
    add_selection(*verb, arguments->cache);
    verb->add_option("--prefix", arguments->filter.prefix, "Only keys that begin so")->type_name("TEXT");
    add_count(*verb, "--limit", arguments->limit, "At most so many entries [default: all]");
    verb->add_flag("--values", arguments->filter.values, "Values, too: their beginning, or value_base64 in JSON");
    verb->add_flag("--all", arguments->filter.dead, "Expired and invalidated entries, too");
    verb->add_flag("--checksums", arguments->filter.checksums, "Leave out entries whose value is damaged");
    verb->add_flag("--json", arguments->json,
                   "A line each: {key, size_bytes, ttl_ms, age_ms, last_used_ms, hits, tags, state}; key_base64 where "
                   "it is not UTF-8, tags_base64 beside tags where one is not");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
