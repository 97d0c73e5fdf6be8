// larder put: stores what comes on standard input.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    std::string key;
    EntryOptions entry;
    bool json = false;
};

/// At most `limit` bytes and one more, which tells that there was too much.
std::string read_input(std::uint64_t limit) {
    if (is_terminal(STDIN_FILENO)) complain("larder: type the value, then Ctrl-D\n");
    std::string bytes;
    while (bytes.size() <= limit) {
        char buffer[1 << 16];
        const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Refusal(kFailure, fmt::format("cannot read standard input: {}", std::strerror(errno)));
        bytes.append(buffer, static_cast<std::size_t>(got));
    }
    return bytes;
}

const char* advice_on(PutResult result) {
    switch (result) {
    case PutResult::stored:
        return "";
    case PutResult::fenced:
        return "something it depends on was invalidated meanwhile; put it again";
    case PutResult::older:
        return "the entry there was read from its source later; nothing to do";
    case PutResult::too_large:
        return "a value is at most a quarter of a shard, with at most 16 tags of 1 to 256 bytes; "
               "make the cache with a larger --size or fewer --shards";
    case PutResult::no_space:
        return "nothing more could be evicted; make the cache with a larger --size";
    case PutResult::rebuilding:
        return "its shard waits for handles of a dead writer's memory; see `larder doctor`";
    case PutResult::bad_key:
        return "a key has 1 to 1024 bytes";
    case PutResult::bad_value:
        return "the value is empty; give bytes on standard input, or --negative";
    case PutResult::busy:
        return "another process holds the shard's lock; try again, or see `larder doctor`";
    }
    return "";
}

int run(const Arguments& arguments) {
    Cache cache = Cache::open(arguments.cache);
    const std::uint64_t limit = inspect(arguments.cache).view().geometry->arena_bytes / 4;  // above the largest value
    const std::string value = arguments.entry.negative ? std::string() : read_input(limit);
    const PutResult result = cache.put(arguments.key, value, arguments.entry);
    if (arguments.json) print_json({{"result", name_of(result)}});
    if (result == PutResult::stored) return kOk;
    throw Refusal(kFailure, fmt::format("not stored ({}): {}", name_of(result), advice_on(result)));
}

}  // namespace

void add_put(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.role = "put";
    arguments->cache.log = log_line;
    CLI::App* const verb =
        program.add_subcommand("put", "Store standard input under a key; makes the cache when absent");
    add_group(*verb, OptionGroup::selection, arguments->cache);
    add_group(*verb, OptionGroup::geometry, arguments->cache);
    verb->add_option("KEY", arguments->key, "The key, 1 to 1024 bytes; after -- when it begins with a dash")
        ->required();
    add_duration(*verb, "--ttl", arguments->entry.ttl, "Time to live [default: 300s]");
    add_duration(*verb, "--soft-ttl", arguments->entry.soft_ttl,
                 "Stale from then on: served while one computes it anew");
    verb->add_option("--tag", arguments->entry.tags, "A tag to invalidate it by; repeatable, at most 16")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    verb->add_flag("--negative", arguments->entry.negative, "Known to be absent: no value, standard input is not read");
    verb->add_flag("--json", arguments->json, "{result}; anything but stored exits with 3");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
