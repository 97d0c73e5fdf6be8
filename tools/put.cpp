// larder put: stores what comes on standard input.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "shm/geometry.hpp"
#include "shm/location.hpp"
#include "shm/segment.hpp"
#include "shm/system.hpp"
#include "tools/json_lines.hpp"
#include "tools/kept_geometry.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kPatienceNs = 1'000'000'000;  // with a cache that is not open yet
constexpr std::int64_t kTickNs = 5'000'000;          // the coarse clock may be as late

struct Arguments {
    Options cache;
    std::string key;
    EntryOptions entry;
    std::vector<std::string_view> flags;  ///< of a new cache's geometry, as given
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

/// What the cache that is there is like, else the one that will be made.
shm::Geometry geometry_of(const Arguments& arguments) {
    const Options& options = arguments.cache;
    const shm::Location location = shm::locate(options.directory, options.name, false);
    try {
        const shm::Geometry kept = *shm::Segment::attach_read_only(location.segment_path()).view().geometry;
        if (const std::string warning = kept_warning(arguments.flags, options, kept); !warning.empty())
            log_line(LogLevel::warning, warning);
        return kept;
    } catch (const OpenError&) {
        return shm::plan_geometry(options);
    }
}

/// How long the segment that has taken a replaced one's place takes no values yet.
std::int64_t opens_in_ns(const Options& options) {
    try {
        const shm::Location location = shm::locate(options.directory, options.name, false);
        const shm::Segment segment = shm::Segment::attach_read_only(location.segment_path());
        return segment.view().header().open_at_ns.load(std::memory_order_relaxed) - shm::system::coarse_ns();
    } catch (const OpenError&) {
        return 0;
    }
}

/// A cache that has just been replaced opens within a moment, for which there is patience.
PutResult put_when_open(Cache& cache, const Arguments& arguments, std::string_view value) {
    const std::int64_t deadline_ns = shm::system::monotonic_ns() + kPatienceNs;
    for (;;) {
        const PutResult result = cache.put(arguments.key, value, arguments.entry);
        const std::int64_t wait_ns = result == PutResult::busy ? opens_in_ns(arguments.cache) : 0;
        const std::int64_t left_ns = deadline_ns - shm::system::monotonic_ns();
        if (wait_ns <= 0 || left_ns <= 0) return result;
        shm::system::sleep_ns(std::min(wait_ns, left_ns) + kTickNs);
    }
}

bool is_key(const std::string& key) { return !key.empty() && key.size() <= shm::kMaxKeyBytes; }

struct Outcome {
    PutResult result;
    std::uint64_t value_bytes = 0;  ///< of what was read
};

/// A mistake in what was given makes no cache: the value is read and looked at first.
Outcome store(const Arguments& arguments, const shm::Geometry& geometry) {
    const EntryOptions& entry = arguments.entry;
    if (!is_key(arguments.key)) return {PutResult::bad_key};
    const std::uint64_t largest = shm::max_value_bytes(geometry);
    const std::string value = entry.negative ? std::string() : read_input(largest);
    if (value.empty() && !entry.negative) return {PutResult::bad_value};
    Cache cache = Cache::open(arguments.cache);
    const PutResult result = put_when_open(cache, arguments, value);
    if (result != PutResult::stored || value.size() <= largest) return {result, value.size()};
    cache.erase(arguments.key);  // a larger cache has taken the place of the other: only a part was read
    return {PutResult::too_large, value.size()};
}

std::string advice_on_size(const EntryOptions& entry, std::uint64_t value_bytes, const shm::Geometry& geometry) {
    if (entry.tags.size() > shm::kMaxTags)
        return fmt::format("an entry has at most {} tags, not {}", shm::kMaxTags, entry.tags.size());
    for (const std::string& tag : entry.tags)
        if (tag.empty() || tag.size() > shm::kMaxTagBytes)
            return fmt::format("a tag has 1 to {} bytes, not {}", shm::kMaxTagBytes, tag.size());
    const std::uint64_t largest = shm::max_value_bytes(geometry);
    if (value_bytes > largest || geometry.max_bytes == 0)
        return fmt::format(
            "a value of this cache has at most {} bytes, {} of a shard; make the cache with a larger "
            "--size or fewer --shards",
            largest, largest == geometry.arena_bytes / 4 ? "a quarter" : "a part");
    return fmt::format(
        "the keys and values of this cache have at most {} bytes{}, by its --max-bytes; make it with a "
        "larger one{}",
        geometry.max_bytes, geometry.shards == 1 ? "" : fmt::format(" in {} shards", geometry.shards),
        geometry.shards == 1 ? "" : " or fewer --shards");
}

std::string advice_on_busy(const Options& options) {
    if (opens_in_ns(options) > 0)
        return "the cache has just replaced another and takes no values yet; try again in a second";
    return "another process holds the shard's lock; try again, or see `larder doctor`";
}

std::string advice_on(const Outcome& outcome, const Arguments& arguments, const shm::Geometry& geometry) {
    switch (outcome.result) {
    case PutResult::stored:
        return "";
    case PutResult::fenced:
        return "something it depends on was invalidated meanwhile; put it again";
    case PutResult::older:
        return "the entry there was read from its source later; nothing to do";
    case PutResult::too_large:
        return advice_on_size(arguments.entry, outcome.value_bytes, geometry);
    case PutResult::no_space:
        return "nothing more could be evicted; make the cache with a larger --size";
    case PutResult::rebuilding:
        return "its shard waits for handles of a dead writer's memory; see `larder doctor`";
    case PutResult::bad_key:
        return "a key has 1 to 1024 bytes";
    case PutResult::bad_value:
        return "the value is empty; give bytes on standard input, or --negative";
    case PutResult::busy:
        return advice_on_busy(arguments.cache);
    }
    return "";
}

int run(const Arguments& arguments) {
    const shm::Geometry geometry = geometry_of(arguments);
    const Outcome outcome = store(arguments, geometry);
    if (arguments.json) print_json({{"result", name_of(outcome.result)}});
    if (outcome.result == PutResult::stored) return kOk;
    throw Refusal(kFailure,
                  fmt::format("not stored ({}): {}", name_of(outcome.result), advice_on(outcome, arguments, geometry)));
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
        add_duration(*verb, "--ttl", arguments->entry.ttl,
                     "Time to live [default: LARDER_TTL, else 300s; with --negative LARDER_NEGATIVE_TTL, else 30s]");
    add_duration(*verb, "--soft-ttl", arguments->entry.soft_ttl,
                 "Stale from then on: served while one computes it anew");
    verb->add_option("--tag", arguments->entry.tags, "A tag to invalidate it by; repeatable, at most 16")
        ->type_name("TEXT")
        ->allow_extra_args(false);
    verb->add_flag("--negative", arguments->entry.negative, "Known to be absent: no value, standard input is not read");
    verb->add_flag("--json", arguments->json, "{result}; anything but stored exits with 3");
    verb->callback([&action, arguments, verb, ttl] {
        if (ttl->count() == 0) apply_setting(arguments->entry.negative ? "negative-ttl" : "ttl", arguments->cache);
        arguments->flags = flags_given(*verb);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
