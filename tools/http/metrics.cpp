#include "tools/http/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "shm/counters.hpp"
#include "shm/histogram.hpp"
#include "shm/inspector.hpp"
#include "shm/source_sync.hpp"
#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::string_view kMisses = "misses_";

ClientMetric labelled(std::string name, std::string value) {
    ClientMetric metric;
    if (!name.empty()) metric.label.push_back({std::move(name), std::move(value)});
    return metric;
}

ClientMetric counter_of(std::uint64_t value, std::string label = {}, std::string label_value = {}) {
    ClientMetric metric = labelled(std::move(label), std::move(label_value));
    metric.counter.value = static_cast<double>(value);
    return metric;
}

ClientMetric gauge_of(double value, std::string label = {}, std::string label_value = {}) {
    ClientMetric metric = labelled(std::move(label), std::move(label_value));
    metric.gauge.value = value;
    return metric;
}

/// Of which buckets: the powers of two from `first` to `last`, in the unit that the segment counts in. Shorter values
/// are in the first one.
struct Buckets {
    std::uint32_t first, last;
    double unit;  ///< in seconds
};
constexpr Buckets kLookupBuckets{5, 24, 1e-9};    // 32 ns to 17 ms
constexpr Buckets kComputeBuckets{6, 26, 1e-6};   // 64 us to 67 s
constexpr Buckets kEvictionBuckets{7, 30, 1e-3};  // 0.1 s to 12 days

ClientMetric histogram_of(const shm::Histogram& histogram, const Buckets& buckets) {
    const shm::HistogramSnapshot shot = shm::snapshot(histogram);
    ClientMetric metric;
    metric.histogram.sample_count = shot.count;
    metric.histogram.sample_sum = static_cast<double>(shot.sum) * buckets.unit;
    std::uint64_t below = 0;
    for (std::uint32_t bucket = 0; bucket <= buckets.last; ++bucket) {
        below += shot.buckets[bucket];  // each of them below bucket_floor(bucket + 1) = 2^bucket
        if (bucket < buckets.first) continue;
        metric.histogram.bucket.push_back({below, static_cast<double>(shm::bucket_floor(bucket + 1)) * buckets.unit});
    }
    return metric;
}

std::string sentence(std::string_view text) {
    std::string written(text);
    if (!written.empty() && written.front() >= 'a' && written.front() <= 'z')
        written.front() = static_cast<char>(written.front() - 'a' + 'A');
    return written + (written.empty() || written.back() == '.' ? "" : ".");
}

/// Meaning, and what to do about it.
std::string help_of(std::uint32_t counter, const shm::LabelFacts& label) {
    if (counter >= shm::kCounters) return sentence(escaped(label.meaning));
    const shm::CounterText& row = shm::kCounterTable[counter];
    return sentence(row.meaning) + (row.remedy.empty() ? "" : " " + std::string(row.remedy));
}

/// What a metric's name may have: a newer library's counter is called what it likes.
std::string as_name(std::string text) {
    for (char& c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) c = '_';
    return text;
}

class Exposition {
public:
    explicit Exposition(const shm::SegmentView& view) : view_(view) {}

    void add_counters() {
        const shm::CounterTotals totals = shm::read_totals(view_);
        MetricFamily misses{
            "larder_misses_total", "Lookups that were given no live value, by reason.", MetricType::Counter, {}};
        for (std::uint32_t i = 0; i < shm::kThreadCounters; ++i) {
            const shm::LabelFacts label = shm::read_label(view_, i);
            const std::string name = as_name(label.name), help = help_of(i, label);
            if (name.empty()) continue;
            if (name.substr(0, kMisses.size()) != kMisses) {
                add({"larder_" + name + "_total", help, MetricType::Counter, {counter_of(totals.values[i])}});
                continue;
            }
            const std::string reason = name.substr(kMisses.size());
            misses.help += fmt::format(" {}: {}", reason, help);
            misses.metric.push_back(counter_of(totals.values[i], "reason", reason));
        }
        add(std::move(misses));
        add({"larder_notices_total",
             "Number of the last notice: of a key, a tag, a namespace or everything.",
             MetricType::Counter,
             {counter_of(view_.header().notice_number.load(std::memory_order_acquire))}});
    }

    void add_gauges() {
        const shm::Gauges gauges = shm::read_gauges(view_);
        add_gauge("entries", "Values in the cache; those that are over, and were not swept up so far, too.",
                  static_cast<double>(gauges.entries));
        add_gauge("payload_bytes", "Bytes of keys and values.", static_cast<double>(gauges.payload_bytes));
        add_gauge("arena_used_bytes", "Bytes of the arenas that are taken, by what the entries need besides, too.",
                  static_cast<double>(gauges.arena_used_bytes));
        add_gauge("arena_bytes", "Bytes of the arenas: when they are taken, the least recently used makes room.",
                  static_cast<double>(gauges.arena_bytes));
        add_gauge("segment_bytes", "Size of the cache's file.", static_cast<double>(view_.geometry->segment_bytes));
        add_gauge("shards", "Parts of the cache, each with a lock for those who write.", view_.geometry->shards);
    }

    void add_activity() {
        std::uint32_t attached = 0, ended = 0;
        for (const shm::ProcessFacts& process : shm::read_processes(view_)) ++(process.alive ? attached : ended);
        add_gauge("processes_attached", "Processes that use the cache.", attached);
        add_gauge("processes_ended", "Processes that died, and were not cleared away by another so far.", ended);
        double held = 0, waiters = 0;
        for (const shm::LeaseFacts& lease : shm::read_leases(view_)) {
            if (lease.state != shm::LeaseState::held) continue;
            ++held;
            waiters += lease.waiters;
        }
        add_gauge("computations_running", "Values that are being computed.", held);
        add_gauge("computation_waiters", "Callers that wait for another's computation.", waiters);
    }

    /// Where there is a promise.
    void add_sync(const std::optional<SyncState>& state) {
        if (!state) return;
        if (state->age)
            add_gauge("sync_age_seconds", "Since when all changes in the database are known to be announced.",
                      std::chrono::duration<double>(*state->age).count());
        add_gauge("degraded",
                  "1: the database was not followed for longer than --degraded-after; past --max-stale more what was "
                  "read before is not served.",
                  state->degraded ? 1 : 0);
    }

    void add_histograms() {
        const shm::SegmentHeader& header = view_.header();
        add({"larder_lookup_seconds",
             "Time of a lookup, of a sample of them.",
             MetricType::Histogram,
             {histogram_of(header.lookup_ns, kLookupBuckets)}});
        add({"larder_compute_seconds",
             "Time of a computation.",
             MetricType::Histogram,
             {histogram_of(header.compute_us, kComputeBuckets)}});
        add({"larder_eviction_age_seconds",
             "Age of what made room for others. Far below the TTL, and missed (larder_misses_total, evicted): the "
             "cache is too small.",
             MetricType::Histogram,
             {histogram_of(header.eviction_age_ms, kEvictionBuckets)}});
    }

    void add_beside(const MetricsBeside& beside) {
        add_gauge("relay_caught_up",
                  "1: changes in the database were announced up to now. 0: the relay has not begun, or the database "
                  "cannot be read.",
                  beside.relay_caught_up ? 1 : 0);
        add_gauge("listening", "1: a process takes notices at the cache's socket.", beside.listening ? 1 : 0);
        ClientMetric info = gauge_of(1, "cache", beside.cache);
        info.label.push_back({"version", LARDER_VERSION});
        info.label.push_back({"layout", std::to_string(view_.header().layout_number)});
        add({"larder_info", "Which cache this is.", MetricType::Gauge, {std::move(info)}});
        if (!beside.jobs) return;
        MetricFamily jobs{"larder_warm_jobs",
                          "Jobs of warming, by state; those that have ended are kept for a while.",
                          MetricType::Gauge,
                          {}};
        for (const auto& [state, number] : *beside.jobs) jobs.metric.push_back(gauge_of(number, "state", state));
        add(std::move(jobs));
    }

    std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

private:
    void add(MetricFamily family) { families_.push_back(std::move(family)); }
    void add_gauge(std::string_view name, std::string help, double value) {
        add({"larder_" + std::string(name), std::move(help), MetricType::Gauge, {gauge_of(value)}});
    }

    const shm::SegmentView& view_;
    std::vector<MetricFamily> families_;
};

}  // namespace

std::string metrics_text(const shm::SegmentView& view, const MetricsBeside& beside) {
    Exposition exposition(view);
    exposition.add_counters();
    exposition.add_gauges();
    exposition.add_activity();
    exposition.add_histograms();
    exposition.add_sync(shm::SourceSync(view).state(beside.now_ns));
    exposition.add_beside(beside);
    return exposition.text();
}

}  // namespace larder::tools
