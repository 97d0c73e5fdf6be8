// S11: what is evicted, beside an exact LRU: strict recency must agree with it to the hit, the clock by 0.3 points.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "bench/compare/exact_lru.hpp"
#include "bench/compare/groups.hpp"
#include "bench/scoped_cache.hpp"
#include "bench/server_process.hpp"
#include "bench/workload.hpp"

namespace larder::bench {
namespace {

constexpr std::uint32_t kTraceKeys = 50'000;
constexpr double kDisagrees = 100;  // points: strict recency that is not exact breaks the promise by itself

struct Trace {
    std::string name;
    std::vector<std::uint32_t> keys;
    std::uint32_t shards = 1;
    bool is_promised = true;
};

std::vector<std::uint32_t> zipf_keys(std::size_t requests, double exponent) {
    std::mt19937_64 random(7);
    std::vector<double> up_to(kTraceKeys);
    double sum = 0;
    for (std::uint32_t rank = 0; rank < kTraceKeys; ++rank) up_to[rank] = sum += std::pow(rank + 1, -exponent);
    std::vector<std::uint32_t> keys(requests);
    for (std::uint32_t& key : keys) {
        const double at = static_cast<double>(random() >> 11) * 0x1.0p-53 * sum;
        key = static_cast<std::uint32_t>(std::lower_bound(up_to.begin(), up_to.end() - 1, at) - up_to.begin());
    }
    return keys;
}

std::vector<Trace> make_traces(std::size_t requests) {
    std::vector<std::uint32_t> loop(requests), scans = zipf_keys(requests, 0.99);
    for (std::size_t n = 0; n < requests; ++n) {
        loop[n] = static_cast<std::uint32_t>(n % 9'000);
        // Every tenth thousand of requests goes once through keys that nobody asks for again.
        if (n / 1'000 % 10 == 9) scans[n] = kTraceKeys + static_cast<std::uint32_t>(n);
    }
    return {{"zipf 0.99", zipf_keys(requests, 0.99)},
            {"zipf 0.99, 4 shards", zipf_keys(requests, 0.99), 4},
            {"zipf 0.7", zipf_keys(requests, 0.7)},
            {"zipf with scans", std::move(scans)},
            {"loop of 9,000", loop},
            {"loop of 9,000, 4 shards", std::move(loop), 4, false}};
}

/// As a file, a request a millisecond.
void write(const Trace& trace, const std::string& path) {
    std::ofstream file(path);
    for (std::size_t n = 0; n < trace.keys.size(); ++n)
        file << fmt::format("{}.{:03},{},1\n", n / 1'000, n % 1'000, trace.keys[n]);
    require(bool(file.flush()), "a trace cannot be written");
}

void compare(Report& report, const Trace& trace, const std::string& path, std::uint64_t entries) {
    const auto hits = [&](const char* strict, std::uint32_t shards) {
        const std::string answer = output_of(fmt::format("'{}' replay '{}' --entries {} --shards {} {} --json",
                                                         program_beside("larder"), path, entries, shards, strict));
        return boost::json::parse(answer).at("hits").to_number<double>();
    };
    ExactLru lru(entries);
    const auto exact = static_cast<double>(
        std::count_if(trace.keys.begin(), trace.keys.end(), [&](std::uint32_t key) { return lru.use(key); }));
    const double points = 100.0 / static_cast<double>(trace.keys.size());
    const double strict = hits("--strict", 1),
                 same_shards = trace.shards == 1 ? strict : hits("--strict", trace.shards);
    const double clock = hits("", trace.shards);
    const double behind = (same_shards - clock) * points;
    const std::string load = fmt::format("{}, {} entries", trace.name, entries);
    const auto add = [&](const char* contender, double value) {
        report.add({"hit ratio", contender, 0, load, "percent", {value * points}});
    };
    add("exact LRU", exact);
    add("Larder, strict, 1 shard", strict);
    if (trace.shards != 1) add("Larder, strict, as many shards", same_shards);
    add("Larder, by the clock", clock);
    report.note(fmt::format("{:<44} exact LRU {:.2f} %, strict {}, clock {:+.2f} points", load, exact * points,
                            strict == exact ? "the same" : "NOT THE SAME", -behind));
    if (!trace.is_promised) return;
    const double worst = strict == exact ? std::abs(behind) : kDisagrees;
    report.judge("S11", {load, "points", {"<=", 0.3}, worst, {worst}, trace.keys.size()});
}

}  // namespace

void measure_recency(Report& report) {
    const std::string directory = make_directory();  // gone with the run's
    for (const Trace& trace : make_traces(report.effort().quick ? 200'000 : 1'000'000)) {
        const std::string path = directory + "/trace.csv";
        write(trace, path);
        for (const std::uint64_t entries : {2'048u, 8'192u, 16'384u}) compare(report, trace, path, entries);
    }
}

}  // namespace larder::bench
