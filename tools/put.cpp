// larder put: stores what comes on standard input.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "shm/geometry.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"
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

/// The largest value of the cache that is there, else of the one that will be made.
std::uint64_t largest_value(const Options& options) {
    const shm::Location location = shm::locate(options.directory, options.name, false);
    try {
        return shm::max_value_bytes(*shm::Segment::attach_read_only(location.segment_path()).view().geometry);
    } catch (const OpenError&) {
        return shm::max_value_bytes(shm::plan_geometry(options));
    }
}

bool is_key(const std::string& key) { return !key.empty() && key.size() <= shm::kMaxKeyBytes; }

/// A mistake in what was given makes no cache: the value is read and looked at first.
PutResult store(const Arguments& arguments, std::uint64_t largest) {
    const EntryOptions& entry = arguments.entry;
    if (!is_key(arguments.key)) return PutResult::bad_key;
    const std::string value = entry.negative ? std::string() : read_input(largest);
    if (value.empty() && !entry.negative) return PutResult::bad_value;
    Cache cache = Cache::open(arguments.cache);
    const PutResult result = cache.put(arguments.key, value, entry);
    if (result != PutResult::stored || value.size() <= largest) return result;
    cache.erase(arguments.key);  // a larger cache has taken the place of the other: only a part was read
    return PutResult::too_large;
}

std::string advice_on_size(const EntryOptions& entry, std::uint64_t largest) {
    if (entry.tags.size() > shm::kMaxTags)
        return fmt::format("an entry has at most {} tags, not {}", shm::kMaxTags, entry.tags.size());
    for (const std::string& tag : entry.tags)
        if (tag.empty() || tag.size() > shm::kMaxTagBytes)
            return fmt::format("a tag has 1 to {} bytes, not {}", shm::kMaxTagBytes, tag.size());
    return fmt::format(
        "a value of this cache has at most {} bytes, a quarter of a shard; make the cache with a larger --size or "
        "fewer --shards",
        largest);
}

std::string advice_on(PutResult result, const EntryOptions& entry, std::uint64_t largest) {
    switch (result) {
    case PutResult::stored:
        return "";
    case PutResult::fenced:
        return "something it depends on was invalidated meanwhile; put it again";
    case PutResult::older:
        return "the entry there was read from its source later; nothing to do";
    case PutResult::too_large:
        return advice_on_size(entry, largest);
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
    const std::uint64_t largest = largest_value(arguments.cache);
    const PutResult result = store(arguments, largest);
    if (arguments.json) print_json({{"result", name_of(result)}});
    if (result == PutResult::stored) return kOk;
    throw Refusal(kFailure,
                  fmt::format("not stored ({}): {}", name_of(result), advice_on(result, arguments.entry, largest)));
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
    CLI::Option* const ttl =
        add_duration(*verb, "--ttl", arguments->entry.ttl, "Time to live [default: LARDER_TTL, else 300s]");
    add_duration(*verb, "--soft-ttl", arguments->entry.soft_ttl,
                 "Stale from then on: served while one computes it anew");
    verb->add_option("--tag", arguments->entry.tags, "A tag to invalidate it by; repeatable, at most 16")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    verb->add_flag("--negative", arguments->entry.negative, "Known to be absent: no value, standard input is not read");
    verb->add_flag("--json", arguments->json, "{result}; anything but stored exits with 3");
    verb->callback([&action, arguments, ttl] {
        if (ttl->count() == 0) apply_environment("ttl", arguments->cache);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
