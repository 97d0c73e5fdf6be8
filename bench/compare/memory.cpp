// S10: what of a segment is payload once it is full, and what an entry and a tracked key cost beside it.
#include <fmt/format.h>

#include <cmath>
#include <random>
#include <string>

#include "bench/compare/groups.hpp"
#include "bench/rounds.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/workload.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"

namespace larder::bench {
namespace {

constexpr std::uint64_t kEntryBytes = 300;  // S10's own limit: for so many entries there is room

struct Filled {
    shm::Gauges gauges;
    shm::Geometry geometry;
    double share() const {
        return static_cast<double>(gauges.payload_bytes) / static_cast<double>(geometry.segment_bytes);
    }
    double overhead_bytes() const {
        const std::uint64_t directories = std::uint64_t{8} * geometry.shards * geometry.directory_slots;
        return static_cast<double>(gauges.arena_used_bytes + directories - gauges.payload_bytes) /
               static_cast<double>(gauges.entries);
    }
};

Filled look_at(const ScopedCache& cache) {
    const shm::Segment segment = shm::Segment::attach_read_only(cache->segment_path());
    return {shm::read_gauges(segment.view()), *segment.view().geometry};
}

constexpr std::uint64_t kLarge = 1ULL << 30, kSmall = 256ULL << 20;

/// Options by which memory is what binds, for values of that size on average.
Options full_of(std::size_t value_bytes, std::uint64_t size_bytes) {
    Options options;
    options.role = "bench";
    options.ttl = std::chrono::hours(24);
    options.size_bytes = size_bytes;
    options.expected_entries = options.size_bytes / (value_bytes + kEntryBytes);
    return options;
}

/// Values of one size, three times as many as there is room for.
Filled fill_over(std::size_t value_bytes, std::uint64_t size_bytes) {
    const Options options = full_of(value_bytes, size_bytes);
    ScopedCache cache(options);
    const std::string value = value_of(0, value_bytes);
    for (std::uint32_t n = 0; n < 3 * options.expected_entries; ++n)
        require(cache->put(key_of(n).text(), value) == PutResult::stored, "a put was refused");
    return look_at(cache);
}

/// A day's churn: sizes from 64 B to 64 KiB, each octave as often, keys stored anew and others that are new.
void churn(Report& report) {
    constexpr double kMeanBytes = (65536.0 - 64.0) / 6.93;  // of sizes whose logarithms are uniform
    const Options options = full_of(static_cast<std::size_t>(kMeanBytes), report.effort().quick ? kSmall : kLarge);
    ScopedCache cache(options);
    std::mt19937_64 random(1);
    const std::string bytes = value_of(0, 65'536);
    std::vector<double> shares;
    const std::uint32_t keys = 4 * static_cast<std::uint32_t>(options.expected_entries);
    std::uint64_t refused = 0;
    for (std::size_t round = 0; round < 10; ++round) {
        for (std::uint32_t n = 0; n < keys / 4; ++n) {
            const double octaves = static_cast<double>(random() % 10'000) / 1'000.0;
            const auto size = static_cast<std::size_t>(64 * std::exp2(octaves));
            refused += cache->put(key_of(static_cast<std::uint32_t>(random() % keys)).text(),
                                  std::string_view(bytes).substr(0, size)) == PutResult::stored
                           ? 0
                           : 1;
        }
        const Filled filled = look_at(cache);
        shares.push_back(static_cast<double>(filled.gauges.payload_bytes) /
                         static_cast<double>(filled.gauges.arena_bytes));
    }
    report.add({"memory", "payload of the arenas, mixed sizes", 0, "64 B to 64 KiB", "share", shares});
    report.note(
        fmt::format("mixed sizes, 64 B to 64 KiB: payload {:.1f} % of the arenas after ten turns, {} puts refused",
                    100 * shares.back(), refused));
}

}  // namespace

void measure_memory(Report& report) {
    const Filled large = fill_over(8192, kLarge), small = fill_over(64, report.effort().quick ? kSmall : kLarge);
    const auto judge = [&](const char* what, const char* unit, Goal goal, double measured, std::size_t samples) {
        report.add({"memory", what, 0, "", unit, {measured}});
        report.judge("S10", {what, unit, std::move(goal), measured, {measured}, samples});
    };
    judge("payload of a full segment, 8 KiB values", "share", {">=", 0.85}, large.share(), large.gauges.entries);
    judge("overhead of an entry, 64 B values", "bytes", {"<=", 300}, small.overhead_bytes(), small.gauges.entries);
    judge("overhead of an entry, 8 KiB values", "bytes", {"<=", 300}, large.overhead_bytes(), large.gauges.entries);
    const double key_bytes = static_cast<double>(large.geometry.shards_at - large.geometry.keys_at) /
                             static_cast<double>(large.geometry.tracked_keys);
    judge("a tracked key", "bytes", {"<=", 256}, key_bytes, large.geometry.tracked_keys);
    const Filled usual = fill_over(8192, kSmall);
    report.note(fmt::format("a full segment of 256 MiB, 8 KiB values: payload {:.1f} %; one of its {} arenas is spare",
                            100 * usual.share(), usual.geometry.arenas));
    churn(report);
}

}  // namespace larder::bench
