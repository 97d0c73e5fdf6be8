// A program of others that has the statistics in it, and tells of changes by signals of its own.
#include <larder/cache.hpp>

#include <core/assignment_stats_cache.hpp>
#include <cstdio>
#include <functional>

int main(int, char** arguments) {
    const larder::Cache cache = larder::Cache::open({.name = "school", .size_bytes = 16 << 20});
    larder::AssignmentStatsCache stats(cache, [&] { return larder::open_source(arguments[1]); });
    const std::function<void(std::int64_t)> on_commit = [&](std::int64_t id) { stats.on_submission_changed(id); };
    for (const bool changes : {false, false, true}) {
        if (changes) on_commit(1);
        const auto document = stats.get_or_calculate(1);
        std::printf("%s\n", document ? std::string(name_of(document->state)).c_str() : "none");
    }
}
