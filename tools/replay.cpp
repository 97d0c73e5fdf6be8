// larder replay: the hit ratio that a cache would have had on a trace.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/json_lines.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_replay.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct Arguments {
    Options cache;
    ReplayOptions replay;
    bool json = false;
};

void warn_about(const ReplayResult& result) {
    if (result.too_large != 0)
        log_line(LogLevel::warning,
                 fmt::format("{} requests were for values that are never stored: this cache takes at most {} bytes{}",
                             result.too_large, result.most_bytes,
                             result.limited_by_payload ? " of key and value, a shard's part of --size"
                                                       : ", a part of one shard; a larger --size or fewer --shards "
                                                         "raise that"));
    if (result.refused != 0)
        log_line(LogLevel::warning,
                 fmt::format("{} values found no room: not enough could be evicted for them at once", result.refused));
}

int run(const Arguments& arguments) {
    Progress progress("replaying");
    ReplayResult result =
        replay(arguments.replay, [&progress](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
    progress.clear();
    warn_about(result);
    if (arguments.json)
        print_json({{"requests", result.requests},
                    {"hits", result.hits},
                    {"misses", result.misses},
                    {"hit_ratio", result.hit_ratio()}});
    else
        print(fmt::format("requests {}\nhits {}\nmisses {}\nhit_ratio {:.6f}\n", result.requests, result.hits,
                          result.misses, result.hit_ratio()));
    return kOk;
}

void adopt(Arguments& arguments) {
    arguments.replay.shards = arguments.cache.shards;
    arguments.replay.size_bytes = arguments.cache.size_bytes;
    const bool by_entries = arguments.replay.entries != 0, by_size = arguments.replay.size_bytes != 0;
    if (by_entries == by_size) throw CLI::ValidationError("replay", "give either --entries N or --size SIZE, above 0");
    if (by_entries && arguments.replay.expected_entries != 0)
        throw CLI::ValidationError("--expected-entries", "goes with --size");
    if (by_entries && arguments.replay.shards > arguments.replay.entries)
        throw CLI::ValidationError("--shards",
                                   "each shard holds at least one entry; give fewer shards, or more --entries");
}

}  // namespace

void add_replay(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    arguments->cache.size_bytes = 0;
    CLI::App* const verb =
        program.add_subcommand("replay", "Replay a trace of `time,key,size` lines (.csv or .csv.gz)");
    verb->add_option("TRACE", arguments->replay.trace, "The trace; its time, in seconds, is the clock")->required();
    add_count(*verb, "--entries", arguments->replay.entries, "A cache of exactly so many entries");
    add_cache_option(*verb, "size", arguments->cache)
        ->envname("")
        ->group("Options")
        ->description(
            "A cache of this size, with values as large as the trace says; below 16MiB, the smallest cache: at "
            "most so many bytes of keys and values");
    add_count(*verb, "--expected-entries", arguments->replay.expected_entries,
              "With --size: what the cache is made for, as larder advise says [default: one per 8 KiB]");
    add_duration(*verb, "--ttl", arguments->replay.ttl, "Time to live from insertion [default: for ever]");
    add_cache_option(*verb, "shards", arguments->cache)
        ->envname("")
        ->group("Options")
        ->description("[default: 1 with --strict, else the largest power of two <= entries / 2048, at least 1]");
    verb->add_flag("--strict", arguments->replay.strict, "LRU exact to the access");
    verb->add_flag("--json", arguments->json, "{requests, hits, misses, hit_ratio}");
    verb->callback([&action, arguments] {
        adopt(*arguments);
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
