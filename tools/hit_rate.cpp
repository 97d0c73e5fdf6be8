// larder hit-rate: how often an assignment's document was found during the last 24 hours; counts nothing.
#include "core/hit_rate.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/cache_keys.hpp"
#include "shm/hash.hpp"
#include "shm/key_table.hpp"
#include "tools/inspection.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/standard_streams.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

/// Both look alike: such a key has no place in the key table.
constexpr const char* kNotTracked =
    "not tracked: nobody looked it up in 24 hours, or the keys with counts are as many as --tracked-keys allows";

struct Arguments {
    Options cache;
    AssignmentId id = 0;
    bool json = false;
};

int run(const Arguments& arguments) {
    const Inspection inspection = inspect(arguments.cache);
    const shm::SegmentView& view = inspection.view();
    const std::string key = stats_key(arguments.id);
    const std::uint64_t hash = shm::hash_of(key, view.header().hash_seed);
    const KeyUse use = shm::KeyTable(view).use(hash, shm::shard_of(hash, view.geometry->shards), segment_now_ns());
    const HitRate rate{use.hits, use.misses, key,
                       std::chrono::duration_cast<std::chrono::seconds>(arguments.cache.ttl)};
    if (arguments.json) {
        if (!use.tracked) complain(fmt::format("larder: {} is {}\n", key, kNotTracked));
        print(to_json(rate) + "\n");
    } else {
        print(fmt::format("{}: {} hits and {} misses in 24 hours, {} % of {} lookups{}{}\n", key, rate.hits,
                          rate.misses, to_text(rate.percentage()), rate.total(), use.tracked ? "" : "; ",
                          use.tracked ? "" : kNotTracked));
    }
    return kOk;
}

}  // namespace

void add_hit_rate(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand("hit-rate", "Hits and misses of an assignment in the last 24 hours");
    add_selection(*verb, arguments->cache);
    add_cache_option(*verb, "ttl", arguments->cache);
    add_id(*verb, arguments->id);
    verb->add_flag("--json", arguments->json, "{hits, misses, total, hit_rate_percentage, cache_key, ttl_seconds}");
    verb->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace larder::tools
