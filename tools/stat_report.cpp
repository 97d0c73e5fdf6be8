#include "tools/stat_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <utility>

#include "shm/elapsed.hpp"
#include "shm/histogram.hpp"
#include "shm/socket/listener_role.hpp"
#include "shm/source_sync.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/json_lines.hpp"
#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

using shm::Counter;
namespace json = boost::json;

constexpr std::size_t kShownNotices = 5;
constexpr std::int64_t kNsPerMs = 1'000'000;

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string ago(std::int64_t at_ns, std::int64_t now_ns) {
    return duration_text(
        std::chrono::milliseconds(std::max<std::int64_t>(0, shm::elapsed_ns(at_ns, now_ns)) / kNsPerMs));
}

std::string inside_text(const shm::ProcessFacts& process) {
    if (!process.inside) return "-";
    return fmt::format("{} {}", process.rebuilding ? "rebuilding" : "writing", *process.inside);
}

/// Empty: nobody has given the cache a promise.
std::string sync_text(const shm::SegmentView& view, std::int64_t now_ns) {
    const std::optional<SyncState> state = shm::SourceSync(view).state(now_ns);
    if (!state) return {};
    return fmt::format("source       {}last followed {}; degraded after {}, max stale {}\n",
                       state->degraded ? "DEGRADED: " : "",
                       state->age ? duration_text(*state->age) + " ago" : std::string("never"),
                       duration_text(state->degraded_after), duration_text(state->max_stale));
}

json::value sync_json(const shm::SegmentView& view, std::int64_t now_ns) {
    const std::optional<SyncState> state = shm::SourceSync(view).state(now_ns);
    if (!state) return nullptr;
    return json::object{{"age_ms", state->age ? json::value(state->age->count()) : json::value(nullptr)},
                        {"degraded_after_ms", state->degraded_after.count()},
                        {"max_stale_ms", state->max_stale.count()},
                        {"degraded", state->degraded}};
}

std::string cache_text(const Inspection& inspection, std::int64_t now_ns) {
    const shm::SegmentView& view = inspection.view();
    const shm::SegmentHeader& header = view.header();
    const shm::Gauges gauges = shm::read_gauges(view);
    const bool listening = shm::somebody_listens(inspection.location.listen_path());
    const std::string identity = shm::read_identity(view);
    std::string text =
        fmt::format("cache        {} ({})\n", inspection.location.name, escaped(inspection.location.segment_path()));
    text += fmt::format("socket       {} ({})\n", escaped(inspection.location.socket_path()),
                        listening ? "somebody listens" : "nobody listens");
    if (!identity.empty()) text += fmt::format("serves       {}\n", escaped(identity));
    text += sync_text(view, now_ns);
    text += fmt::format("size         {} in {} shards, layout {}, made {} ago, {} recency\n",
                        size_text(view.geometry->segment_bytes), view.geometry->shards, header.layout_number,
                        ago(header.created_ns, now_ns), view.geometry->strict_recency != 0 ? "strict" : "clock");
    text +=
        fmt::format("entries      {} with {} of keys and values\n", gauges.entries, size_text(gauges.payload_bytes));
    text += fmt::format("memory       {} of {} used for records ({:.1f} %)\n", size_text(gauges.arena_used_bytes),
                        size_text(gauges.arena_bytes), percent(gauges.arena_used_bytes, gauges.arena_bytes));
    return text;
}

std::string counters_text(const shm::SegmentView& view) {
    const shm::CounterTotals totals = shm::read_totals(view);
    std::string text = fmt::format("\nlookups      {}, {:.2f} % hits\n\n{:<20} {:>14}  {}\n", totals.lookups(),
                                   percent(totals[Counter::hits], totals.lookups()), "COUNTER", "VALUE", "MEANING");
    for (std::uint32_t i = 0; i < shm::kThreadCounters; ++i) {
        const shm::LabelFacts label = shm::read_label(view, i);
        if (label.name.empty()) continue;
        text += fmt::format("{:<20} {:>14}  {}\n", escaped(label.name), totals.values[i], escaped(label.meaning));
        // What to do belongs to the tool; a newer library's counter has none here.
        if (i < shm::kCounters && totals.values[i] != 0 && !shm::kCounterTable[i].remedy.empty())
            text += fmt::format("{:<20} {:>14}  -> {}\n", "", "", shm::kCounterTable[i].remedy);
    }
    return text;
}

struct NamedHistogram {
    const char *name, *unit;
    const shm::Histogram& histogram;
};

std::string histograms_text(const shm::SegmentView& view) {
    const shm::SegmentHeader& header = view.header();
    std::string text = fmt::format("\n{:<20} {:>10} {:>12} {:>12} {:>12}  {}\n", "DISTRIBUTION", "COUNT", "P50", "P99",
                                   "MEAN", "UNIT");
    for (const NamedHistogram& named : {NamedHistogram{"age at eviction", "ms", header.eviction_age_ms},
                                        NamedHistogram{"computation", "us", header.compute_us},
                                        NamedHistogram{"lookup (sampled)", "ns", header.lookup_ns}}) {
        const shm::HistogramSnapshot shot = shm::snapshot(named.histogram);
        text += fmt::format("{:<20} {:>10} {:>12.0f} {:>12.0f} {:>12.0f}  {}\n", named.name, shot.count,
                            shot.percentile(0.5), shot.percentile(0.99), shot.mean(), named.unit);
    }
    return text;
}

std::string processes_text(const shm::SegmentView& view, std::int64_t now_ns) {
    std::string text = fmt::format("\n{:>4} {:>8} {:<15} {:<15} {:>9} {:>7} {:>5}  {:<14} {}\n", "SLOT", "PID", "ROLE",
                                   "NAME", "ATTACHED", "THREADS", "PINS", "SECTION", "STATE");
    for (const shm::ProcessFacts& process : shm::read_processes(view))
        text +=
            fmt::format("{:>4} {:>8} {:<15} {:<15} {:>9} {:>7} {:>5}  {:<14} {}\n", process.slot, process.pid,
                        escaped(process.role), escaped(process.name), ago(process.attached_ns, now_ns), process.threads,
                        process.pins.size(), inside_text(process), process.alive ? "alive" : "ended");
    return text;
}

std::string activity_text(const shm::SegmentView& view, std::int64_t now_ns) {
    std::uint64_t held = 0, waiters = 0;
    for (const shm::LeaseFacts& lease : shm::read_leases(view)) {
        if (lease.state != shm::LeaseState::held) continue;
        ++held;
        waiters += lease.waiters;
    }
    std::string text = fmt::format("\nleases       {} held, {} waiting\n", held, waiters);
    std::vector<shm::NoticeFacts> notices = shm::read_notices(view);
    if (notices.size() > kShownNotices) notices.erase(notices.begin(), notices.end() - kShownNotices);
    for (const shm::NoticeFacts& notice : notices)
        text += fmt::format("notice       {} {} ago: {} {}{}\n", notice.number, ago(notice.at_ns, now_ns),
                            shm::name_of(notice.kind), escaped(notice.text), notice.cut ? "..." : "");
    return text;
}

std::string shards_text(const shm::SegmentView& view) {
    std::string text = fmt::format("\n{:>5} {:>9} {:>10} {:>10} {:>9} {:>10} {:>11}  {}\n", "SHARD", "ENTRIES",
                                   "PAYLOAD", "USED", "REBUILDS", "EVICTIONS", "EXPIRATIONS", "STATE");
    for (std::uint32_t i = 0; i < view.geometry->shards; ++i) {
        const shm::ShardFacts shard = shm::read_shard(view, i);
        text += fmt::format("{:>5} {:>9} {:>10} {:>10} {:>9} {:>10} {:>11}  {}\n", i, shard.entries,
                            size_text(shard.payload_bytes), size_text(shard.arena_used_bytes), shard.rebuilds,
                            shard.evictions, shard.expirations,
                            shard.closed     ? "closed"
                            : shard.mutating ? "writing"
                                             : "open");
    }
    return text;
}

json::object histogram_json(const shm::Histogram& histogram) {
    const shm::HistogramSnapshot shot = shm::snapshot(histogram);
    return {
        {"count", shot.count}, {"mean", shot.mean()}, {"p50", shot.percentile(0.5)}, {"p99", shot.percentile(0.99)}};
}

json::array processes_json(const shm::SegmentView& view, std::int64_t now_ns) {
    json::array processes;
    for (const shm::ProcessFacts& process : shm::read_processes(view)) {
        json::object object{{"slot", process.slot}, {"pid", process.pid}, {"alive", process.alive}};
        put_text(object, "role", process.role);
        put_text(object, "name", process.name);
        object["attached_ms"] = std::max<std::int64_t>(0, shm::elapsed_ns(process.attached_ns, now_ns)) / kNsPerMs;
        object["threads"] = process.threads;
        object["pins"] = process.pins.size();
        object["inside_shard"] = process.inside ? json::value(*process.inside) : json::value(nullptr);
        object["rebuilding"] = process.rebuilding;
        processes.push_back(std::move(object));
    }
    return processes;
}

/// Rates by name, in the order of the columns; nullopt: a share of nothing.
std::vector<std::pair<const char*, std::optional<double>>> rates_by_name(const Rates& rates) {
    return {{"lookups", rates.lookups()},
            {"hits", rates[Counter::hits]},
            {"hit_percentage", rates.hit_percentage()},
            {"misses", rates.misses()},
            {"puts", rates[Counter::puts]},
            {"evictions", rates[Counter::evictions]},
            {"expirations", rates[Counter::expirations]},
            {"invalidations", rates[Counter::invalidations]},
            {"computations", rates[Counter::computations]}};
}

}  // namespace

std::string stat_text(const Inspection& inspection, std::int64_t now_ns, bool shards) {
    const shm::SegmentView& view = inspection.view();
    return cache_text(inspection, now_ns) + counters_text(view) + histograms_text(view) + processes_text(view, now_ns) +
           activity_text(view, now_ns) + (shards ? shards_text(view) : std::string());
}

json::object stat_json(const Inspection& inspection, std::int64_t now_ns) {
    const shm::SegmentView& view = inspection.view();
    const shm::SegmentHeader& header = view.header();
    const shm::Gauges gauges = shm::read_gauges(view);
    const shm::CounterTotals totals = shm::read_totals(view);
    json::object counters;
    for (std::uint32_t i = 0; i < shm::kThreadCounters; ++i)
        if (const std::string name = shm::read_label(view, i).name; !name.empty()) counters[name] = totals.values[i];
    return {{"name", inspection.location.name},
            {"path", inspection.location.segment_path()},
            {"socket", inspection.location.socket_path()},
            {"layout", header.layout_number},
            {"size_bytes", view.geometry->segment_bytes},
            {"shards", view.geometry->shards},
            {"entries", gauges.entries},
            {"payload_bytes", gauges.payload_bytes},
            {"counters", std::move(counters)},
            {"processes", processes_json(view, now_ns)},
            {"listening", shm::somebody_listens(inspection.location.listen_path())},
            {"identity", escaped(shm::read_identity(view))},
            {"sync", sync_json(view, now_ns)},
            {"notice", header.notice_number.load(std::memory_order_acquire)},
            {"arena_used_bytes", gauges.arena_used_bytes},
            {"arena_bytes", gauges.arena_bytes},
            {"eviction_age_ms", histogram_json(header.eviction_age_ms)},
            {"compute_us", histogram_json(header.compute_us)},
            {"lookup_ns", histogram_json(header.lookup_ns)}};
}

std::string rates_title(const Inspection& inspection, std::int64_t now_ns, std::chrono::milliseconds interval) {
    return fmt::format("cache {}, made {} ago; first the mean since then, then each {}\n", inspection.location.name,
                       ago(inspection.view().header().created_ns, now_ns), duration_text(interval));
}

std::string rates_header() {
    return fmt::format("{:>9} {:>6} {:>5} {:>6} {:>5} {:>6} {:>5} {:>5} {:>6} {:>7} {:>9}\n", "LOOKUPS/s", "HITS/s",
                       "HIT%", "MISS/s", "PUT/s", "EVIC/s", "EXP/s", "INV/s", "COMP/s", "ENTRIES", "PAYLOAD");
}

std::string rates_line(const Sample& from, const Sample& to) {
    static constexpr std::size_t kWidths[] = {9, 6, 5, 6, 5, 6, 5, 5, 6};
    std::string text;
    std::size_t column = 0;
    for (const auto& [name, rate] : rates_by_name({from, to})) {
        const std::size_t width = kWidths[column++];
        const bool share = std::string_view(name) == "hit_percentage";
        const std::string number = !rate ? "-" : share ? fmt::format("{:.1f}", *rate) : rate_text(*rate, width);
        text += fmt::format("{:>{}} ", number, width);
    }
    return text + fmt::format("{:>7} {:>9}\n", count_text(to.gauges.entries, 7), size_text(to.gauges.payload_bytes));
}

json::object rates_json(const Sample& from, const Sample& to, bool replaced) {
    json::object object{
        {"interval_ms", std::chrono::duration_cast<std::chrono::milliseconds>(to.at - from.at).count()}};
    for (const auto& [name, rate] : rates_by_name({from, to})) {
        const bool share = std::string_view(name) == "hit_percentage";
        object[share ? std::string(name) : fmt::format("{}_per_second", name)] =
            rate ? json::value(*rate) : json::value(nullptr);
    }
    object["entries"] = to.gauges.entries;
    object["payload_bytes"] = to.gauges.payload_bytes;
    object["replaced"] = replaced;
    return object;
}

}  // namespace larder::tools
