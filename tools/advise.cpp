// larder advise: how large a cache should be, from a trace of what is asked of it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "shm/geometry.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/hit_curve.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/terminal.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

namespace json = boost::json;
using Unit = HitCurve::Unit;

constexpr std::uint64_t kEntryBytes = 160;  // a record beside its key and value
constexpr std::uint64_t kSmallestSize = 16ULL << 20, kSizeStep = 1ULL << 20;
constexpr double kFilledShare = 0.95;  // of the memory for records: gaps between them, shards that fill unevenly
constexpr int kRows = 20, kBarWidth = 40;

struct Arguments {
    std::string trace;
    double hit_ratio = 0.9;
    std::uint64_t one_in = 1;
    bool json = false;
};

struct Need {
    std::uint64_t entries = 0, bytes = 0, largest_value = 0;
};

/// False too: it cannot be made.
bool is_enough(std::uint64_t size, const Need& need) try {
    Options options;
    options.size_bytes = size;
    options.expected_entries = need.entries;
    const shm::Geometry geometry = shm::plan_geometry(options);
    const double room = kFilledShare * static_cast<double>(geometry.shards) *
                        static_cast<double>(geometry.arena_bytes - geometry.node_bytes);
    return room >= static_cast<double>(need.bytes) && shm::max_value_bytes(geometry) >= need.largest_value;
} catch (const OpenError&) {
    return false;
}

/// The smallest --size that is enough, to a hundredth; nullopt: no cache is that large.
std::optional<std::uint64_t> segment_bytes(const Need& need) {
    for (std::uint64_t size = kSmallestSize; size <= shm::kMaxSegmentBytes;
         size += std::max(kSizeStep, size / 100 / kSizeStep * kSizeStep))
        if (is_enough(size, need)) return size;
    return std::nullopt;
}

/// Sizes from a thousandth of all keys to all of them, each larger than the one before by the same factor.
std::vector<std::uint64_t> sizes_of(const HitCurve& curve) {
    std::vector<std::uint64_t> sizes;
    for (int row = 0; row < kRows; ++row) {
        const double share = std::pow(1'000.0, static_cast<double>(row + 1 - kRows) / (kRows - 1));
        const auto size = static_cast<std::uint64_t>(std::ceil(static_cast<double>(curve.keys()) * share));
        if (size != 0 && (sizes.empty() || size != sizes.back())) sizes.push_back(size);
    }
    return sizes;
}

std::string bar(double ratio) {
    static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto eighths = static_cast<int>(ratio * kBarWidth * 8 + 0.5);
    std::string text;
    for (int n = 0; n < eighths / 8; ++n) text += "█";
    return text + kEighths[eighths % 8];
}

struct Advice {
    std::uint64_t entries = 0, bytes = 0, size = 0;
};

std::optional<Advice> advice(const HitCurve& curve, double hit_ratio) {
    const auto entries = curve.smallest(Unit::entries, hit_ratio), bytes = curve.smallest(Unit::bytes, hit_ratio);
    if (!entries || !bytes) return std::nullopt;
    const auto size = segment_bytes({*entries, *bytes, curve.largest()});
    if (!size) return std::nullopt;
    return Advice{*entries, *bytes, *size};
}

std::string advice_text(const HitCurve& curve, double wanted) {
    const auto found = advice(curve, wanted);
    if (!found && curve.most() >= wanted)
        return fmt::format("For {:.1f} % a cache would have to be larger than the largest, {}.\n", 100 * wanted,
                           size_text(shm::kMaxSegmentBytes));
    if (!found)
        return fmt::format("No cache reaches {:.1f} %: {:.1f} % of all requests are the first for their key.\n",
                           100 * wanted, 100 * (1 - curve.most()));
    return fmt::format(
        "For {:.1f} % an LRU holds {} entries, {} of keys and values: --size {}MiB, --expected-entries {}.\n",
        100 * wanted, found->entries, size_text(found->bytes - kEntryBytes * found->entries), found->size >> 20,
        found->entries);
}

std::string report(const HitCurve& curve, double wanted) {
    std::string text = fmt::format("{} requests for {} keys; a cache of all of them hits {:.1f} %\n\n",
                                   curve.requests(), curve.keys(), 100 * curve.most());
    text += fmt::format("{:>12} {:>10}\n", "entries", "hit ratio");
    for (const std::uint64_t size : sizes_of(curve)) {
        const double ratio = curve.hit_ratio(Unit::entries, size);
        text += fmt::format("{:>12} {:>8.2f} %  {}\n", size, 100 * ratio, bar(ratio));
    }
    return text + "\n" + advice_text(curve, wanted);
}

json::object to_json(const HitCurve& curve, double wanted) {
    json::array points;
    for (const std::uint64_t size : sizes_of(curve))
        points.push_back(json::object{{"entries", size}, {"hit_ratio", curve.hit_ratio(Unit::entries, size)}});
    json::object object{{"requests", curve.requests()}, {"keys", curve.keys()},
                        {"most", curve.most()},         {"wanted", wanted},
                        {"curve", std::move(points)},   {"advice", nullptr}};
    if (const auto found = advice(curve, wanted))
        object["advice"] = {{"entries", found->entries}, {"bytes", found->bytes}, {"size_bytes", found->size}};
    return object;
}

int run(const Arguments& arguments) {
    Progress progress("reading");
    const HitCurve curve =
        HitCurve::of(arguments.trace, kEntryBytes, arguments.one_in,
                     [&progress](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
    progress.clear();
    if (curve.requests() == 0)
        throw Refusal(kNegative, arguments.trace + " has no requests: there is nothing to advise");
    if (arguments.json)
        print_json(to_json(curve, arguments.hit_ratio));
    else
        print(report(curve, arguments.hit_ratio));
    return advice(curve, arguments.hit_ratio) ? kOk : kNegative;
}

}  // namespace

void add_advise(CLI::App& program, Action& action) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const verb = program.add_subcommand(
        "advise", "Say how large a cache should be, from a trace of `time,key,size` lines (.csv or .csv.gz)");
    verb->add_option("TRACE", arguments->trace, "The trace; one reading of it is enough")->required();
    verb->add_option("--hit-ratio", arguments->hit_ratio, "The share of requests that the cache is to answer, 0 to 1")
        ->type_name("RATIO")
        ->check(CLI::Range(0.0, 1.0).description(""))
        ->capture_default_str();
    add_count(*verb, "--sampled", arguments->one_in,
              "The trace is of one key in so many, as record makes it [default: 1]");
    verb->add_flag(
        "--json", arguments->json,
        "{requests, keys, most, wanted, curve: [{entries, hit_ratio}], advice: {entries, bytes, size_bytes}}");
    verb->footer(
        "The curve is that of an exact LRU without a TTL (Mattson's stack distances). Exit code 1: no cache is "
        "large enough.");
    verb->callback([&action, arguments] {
        if (arguments->one_in == 0) throw CLI::ValidationError("--sampled", "give 1 or more");
        if (std::isnan(arguments->hit_ratio)) throw CLI::ValidationError("--hit-ratio", "give a number from 0 to 1");
        action = [arguments] { return run(*arguments); };
    });
}

}  // namespace larder::tools
