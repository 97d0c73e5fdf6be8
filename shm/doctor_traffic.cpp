// The doctor's look at what the counters, histograms and notices say about size, TTL and invalidation.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "shm/counters.hpp"
#include "shm/doctor.hpp"
#include "shm/elapsed.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/histogram.hpp"
#include "shm/inspector.hpp"
#include "shm/shortage.hpp"
#include "shm/source_sync.hpp"

namespace larder::shm {
namespace {

constexpr std::size_t kSampled = 1'000;
constexpr std::uint64_t kEnough = 1'000;  // events, below which nothing is concluded

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string one_decimal(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

std::string seconds(std::chrono::milliseconds time) {
    return one_decimal(std::chrono::duration<double>(time).count()) + " s";
}

/// The median TTL in seconds of some entries; 0: there are none.
double sampled_ttl_s(const SegmentView& view, std::int64_t now_ns) {
    std::vector<std::int64_t> ttls_ns;
    EntryCursor cursor(view, {});
    for (const Entry& entry : cursor.next(kSampled, now_ns))
        ttls_ns.push_back(elapsed_ns(entry.created_ns, entry.expires_ns));
    if (ttls_ns.empty()) return 0;
    const auto middle = ttls_ns.begin() + static_cast<std::ptrdiff_t>(ttls_ns.size() / 2);
    std::nth_element(ttls_ns.begin(), middle, ttls_ns.end());
    return static_cast<double>(*middle) / 1e9;
}

void examine_evictions(const SegmentView& view, std::int64_t now_ns, std::vector<Finding>& findings) {
    const HistogramSnapshot ages = snapshot(view.header().eviction_age_ms);
    const double ttl_s = sampled_ttl_s(view, now_ns);
    const double age_s = ages.percentile(0.5) / 1'000;
    if (ages.count < kEnough || ttl_s == 0 || age_s * 2 > ttl_s) return;
    const std::string ages_text = "Entries are evicted at a median age of " + one_decimal(age_s) +
                                  " s under a TTL of " + one_decimal(ttl_s) + " s";
    const Gauges gauges = read_gauges(view);
    const Shortage shortage = shortage_of(*view.geometry, gauges);
    if (shortage == Shortage::memory)
        findings.push_back(
            {"evicted_young", Severity::warning, ages_text + ".",
             "About " + one_decimal(std::min(1'000.0, ttl_s / std::max(age_s, 0.001))) +
                 " times the size is needed to keep them for their TTL (--size), if misses_evicted shows "
                 "that they are missed."});
    else
        findings.push_back({"evicted_young", Severity::warning,
                            ages_text + ": the cache is full" + fullness_text(shortage, gauges) + ".",
                            "If misses_evicted shows that they are missed, make it anew with more " +
                                std::string(option_against(shortage)) + "; a larger size alone does not help."});
}

void examine_counters(const SegmentView& view, std::vector<Finding>& findings) {
    const CounterTotals totals = read_totals(view);
    const auto report = [&](Counter counter, Severity severity, const char* name) {
        if (totals[counter] == 0) return;
        const CounterText& row = kCounterTable[static_cast<std::uint32_t>(counter)];
        findings.push_back(
            {name, severity, number(totals[counter]) + " " + std::string(row.meaning) + ".", std::string(row.remedy)});
    };
    report(Counter::damaged_reads, Severity::warning, "damaged_reads");
    report(Counter::no_space, Severity::warning, "no_space");
    report(Counter::shard_rebuilds, Severity::info, "shard_rebuilds");
    report(Counter::lease_timeouts, Severity::info, "lease_timeouts");
    const std::uint64_t lookups = totals.lookups();
    if (totals[Counter::untracked_lookups] * 100 > lookups && lookups >= kEnough)
        report(Counter::untracked_lookups, Severity::warning, "untracked_lookups");
    if (totals[Counter::misses_invalidated] * 2 > lookups && lookups >= kEnough)
        report(Counter::misses_invalidated, Severity::warning, "invalidated_often");
}

/// Many sweeping notices within a short time.
void examine_notices(const SegmentView& view, std::int64_t now_ns, std::vector<Finding>& findings) {
    constexpr std::int64_t kRecentNs = 60'000'000'000;
    constexpr std::ptrdiff_t kMany = 20;
    const std::vector<NoticeFacts> notices = read_notices(view);
    const auto sweeping = std::count_if(notices.begin(), notices.end(), [now_ns](const NoticeFacts& notice) {
        return (notice.kind == FenceKind::everything || notice.kind == FenceKind::name_space) &&
               notice.at_ns > now_ns - kRecentNs;
    });
    if (sweeping < kMany) return;
    findings.push_back(
        {"invalidation_storm", Severity::warning,
         number(static_cast<std::uint64_t>(sweeping)) + " notices of the last minute named a namespace or everything.",
         "Name keys or tags, so that only what changed is computed again; or see in the service's log why it did "
         "not know what had changed."});
}

void examine_sync(const SegmentView& view, std::int64_t now_ns, std::vector<Finding>& findings) {
    const std::optional<SyncState> state = SourceSync(view).state(now_ns);
    if (!state) return;
    if (!state->degraded) {
        findings.push_back({"synced", Severity::info,
                            "All changes of the source up to " + seconds(*state->age) + " ago are announced; " +
                                seconds(state->degraded_after) + " after the last such word the cache is degraded.",
                            "`larder stat` shows it, too."});
        return;
    }
    const std::string since = state->age ? "for " + seconds(*state->age) : std::string("since the cache was made");
    findings.push_back({"degraded", Severity::warning,
                        "Nobody has said " + since + " that all changes of the source were announced, which may be " +
                            seconds(state->degraded_after) + ".",
                        "Start `larder serve` or `larder listen` where none runs; else see its log, the source and the "
                        "network to it."});
}

}  // namespace

void examine_traffic(const SegmentView& view, const Examination& examination, std::vector<Finding>& findings) {
    examine_evictions(view, examination.now_ns, findings);
    examine_counters(view, findings);
    examine_notices(view, examination.now_ns, findings);
    examine_sync(view, examination.now_ns, findings);
}

}  // namespace larder::shm
