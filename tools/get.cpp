// larder get: one value's bytes; a look that changes neither counters nor the order of eviction.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/durations_sizes.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    std::string key;
    bool meta = false, json = false;
};

std::string meta_text(const shm::Entry& entry, const EntryLine& line) {
    const auto time = [](std::int64_t ms) { return duration_text(std::chrono::milliseconds(ms)); };
    std::string text = fmt::format("key        {}\nsize       {}\nttl left   {} of {}\nage        {}\n",
                                   escaped(entry.key), size_text(entry.value_bytes), time(line.ttl_ms),
                                   time(line.age_ms + line.ttl_ms), time(line.age_ms));
    text += fmt::format("last used  {}\nhits 24h   {}\nstate      {}\n",
                        line.last_used_ms ? time(*line.last_used_ms) + " ago" : "unknown",
                        line.hits ? fmt::format("{}", *line.hits) : "not tracked", shm::name_of(entry.state));
    for (const std::string& tag : entry.tags) text += fmt::format("tag        {}\n", escaped(tag));
    return text;
}

bool is_dead(shm::EntryState state) {
    return state == shm::EntryState::expired || state == shm::EntryState::invalidated;
}

/// An entry past its TTL is no answer, even one that a failed computation might bring back.
bool has_value(const shm::Entry& entry, std::int64_t now_ns) {
    return (entry.state == shm::EntryState::live || entry.state == shm::EntryState::stale) && now_ns < entry.expires_ns;
}

int run(const Arguments& arguments) {
    const Inspection inspection = inspect(arguments.cache);
    const std::int64_t now_ns = segment_now_ns();
    const auto entry = shm::find_entry(inspection.view(), arguments.key, !arguments.meta, now_ns);
    if (!entry || is_dead(entry->state))
        throw Refusal(kNegative, fmt::format("no entry {} in cache {}", arguments.key, arguments.cache.name));
    const EntryLine line = entry_line(inspection.view(), *entry, now_ns);
    if (arguments.json)
        print_json(entry_json(*entry, line, !arguments.meta));
    else if (arguments.meta)
        print(meta_text(*entry, line));
    else if (has_value(*entry, now_ns))
        print(entry->value);
    if (has_value(*entry, now_ns) || arguments.meta) return kOk;
    throw Refusal(kNegative,
                  fmt::format("{} has no value: its entry is {}", arguments.key, shm::name_of(entry->state)));
}

}  // namespace

void add_get(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("get", "Print the bytes of a value; counts nothing");
    add_selection(*verb, arguments->cache);
    verb->add_option("KEY", arguments->key, "The key; after -- when it begins with a dash")->required();
    verb->add_flag("--meta", arguments->meta, "What is known of the entry, without its value");
    verb->add_flag("--json", arguments->json, "The line of `dump` and value_base64 (without it under --meta)");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
