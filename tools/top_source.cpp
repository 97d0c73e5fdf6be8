#include "tools/top_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shm/elapsed.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/process.hpp"
#include "shm/source_sync.hpp"
#include "shm/system.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

std::int64_t ms_since(std::int64_t at_ns, std::int64_t now_ns) {
    return std::max<std::int64_t>(0, shm::elapsed_ns(at_ns, now_ns)) / kNsPerMs;
}

shm::HistogramSnapshot difference(const shm::HistogramSnapshot& from, const shm::HistogramSnapshot& to) {
    shm::HistogramSnapshot rest;
    for (std::size_t b = 0; b < rest.buckets.size(); ++b) {
        rest.buckets[b] = to.buckets[b] - std::min(from.buckets[b], to.buckets[b]);
        rest.count += rest.buckets[b];
    }
    return rest;
}

/// The median of what the entries among the followed keys were given; 0: there are none.
double median_ttl_s(const std::vector<KeyHeat>& keys) {
    std::vector<std::int64_t> ttls_ms;
    for (const KeyHeat& key : keys)
        if (key.state && *key.state != shm::EntryState::negative) ttls_ms.push_back(key.lifetime_ms);
    if (ttls_ms.empty()) return 0;
    const auto middle = ttls_ms.begin() + static_cast<std::ptrdiff_t>(ttls_ms.size() / 2);
    std::nth_element(ttls_ms.begin(), middle, ttls_ms.end());
    return static_cast<double>(*middle) / 1'000;
}

/// Held leases, each with the process that holds it where that is attached still.
std::vector<LeaseLine> leases_of(const shm::SegmentView& view, const std::vector<shm::ProcessFacts>& processes,
                                 std::int64_t now_ns) {
    std::vector<LeaseLine> lines;
    for (const shm::LeaseFacts& lease : shm::read_leases(view)) {
        if (lease.state != shm::LeaseState::held) continue;
        LeaseLine line;
        line.key_hash = lease.key_hash;
        if (auto entry = shm::find_hashed(view, lease.key_hash, now_ns)) line.key = std::move(entry->key);
        const auto holder = std::find_if(processes.begin(), processes.end(), [&](const shm::ProcessFacts& process) {
            return process.slot == lease.holder && process.incarnation == lease.holder_incarnation;
        });
        if (holder != processes.end()) line.pid = holder->pid;
        line.waiters = lease.waiters;
        line.held_ms = ms_since(lease.changed_ns, now_ns);
        line.left_ms = shm::elapsed_ns(now_ns, lease.deadline_ns) / kNsPerMs;
        lines.push_back(std::move(line));
    }
    std::sort(lines.begin(), lines.end(), [](const LeaseLine& a, const LeaseLine& b) { return a.held_ms > b.held_ms; });
    return lines;
}

std::string deeds(const shm::ProcessFacts& process, bool stopped, std::ptrdiff_t leases) {
    if (!process.alive) return "has ended";
    std::string text = stopped ? "stopped" : "";
    const auto add = [&text](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
    if (process.inside) add(fmt::format("{} shard {}", process.rebuilding ? "rebuilds" : "writes", *process.inside));
    if (leases != 0) add(fmt::format("computes {} {}", leases, leases == 1 ? "key" : "keys"));
    if (!process.pins.empty())
        add(fmt::format("holds {} {}", process.pins.size(), process.pins.size() == 1 ? "value" : "values"));
    return text.empty() ? "-" : text;
}

}  // namespace

TopSource::TopSource(const Options& options) : options_(options) { attach(); }
TopSource::~TopSource() = default;

void TopSource::attach() {
    inspection_ = std::make_unique<Inspection>(inspect(options_));
    hot_keys_ = std::make_unique<HotKeys>(inspection_->view());
    hot_keys_->follow_only(beginning_);
    moments_.clear();
}

/// Removed, replaced, or about to be.
bool TopSource::is_gone() const {
    struct stat status {};
    return shm::is_closed_for_good(inspection_->view()) ||
           shm::system::file_status(inspection_->location.segment_path(), status) != 0 ||
           !(shm::system::file_id(status) == inspection_->segment.file());
}

TopSnapshot TopSource::absent(const std::string& why) {
    hot_keys_.reset();
    inspection_.reset();
    TopSnapshot snapshot;
    snapshot.cache = options_.name;
    snapshot.absent = why;
    return snapshot;
}

void TopSource::follow_only(const std::string& beginning) {
    beginning_ = beginning;
    if (hot_keys_ != nullptr) hot_keys_->follow_only(beginning_);
}

TopSnapshot TopSource::look(const ServiceState& service) {
    try {
        if (inspection_ == nullptr || is_gone()) attach();
        if (is_gone()) return absent(fmt::format("cache {} is being removed", options_.name));
    } catch (const Refusal& refusal) {
        return absent(refusal.what());
    } catch (const OpenError& error) {
        return absent(error.what());
    }
    const shm::SegmentView& view = inspection_->view();
    const std::int64_t now_ns = shm::system::monotonic_ns();
    TopSnapshot snapshot;
    snapshot.cache = inspection_->location.name;
    const std::uint64_t before = std::exchange(incarnation_, view.header().incarnation);
    snapshot.incarnation = incarnation_;
    snapshot.was_replaced = before != 0 && before != incarnation_;
    snapshot.made_ms = ms_since(view.header().created_ns, now_ns);
    snapshot.segment_bytes = view.geometry->segment_bytes;
    snapshot.since_made = moments_.empty();
    if (moments_.empty()) moments_.push_back({birth_sample(view, now_ns), {}});
    moments_.push_back({take_sample(view), shm::snapshot(view.header().eviction_age_ms)});
    snapshot.rates = Rates(moments_[moments_.size() - 2].sample, moments_.back().sample);
    snapshot.gauges = moments_.back().sample.gauges;
    hot_keys_->look(now_ns);
    snapshot.looks_of_a_walk = hot_keys_->looks_of_a_walk();
    snapshot.keys = hot_keys_->keys();
    snapshot.prefixes = hot_keys_->prefixes();
    Evidence evidence = evidence_of(snapshot);
    evidence.service = service;
    evidence.sync = shm::SourceSync(view).state(now_ns);
    read_processes(snapshot, evidence, now_ns);
    snapshot.verdicts = verdicts_of(evidence);
    // What happened before the first look is not judged any more once there is something newer.
    while (moments_.size() > kJudgedLooks || (snapshot.since_made && moments_.size() > 1)) moments_.pop_front();
    return snapshot;
}

Evidence TopSource::evidence_of(const TopSnapshot& snapshot) const {
    const Moment &first = moments_.front(), &last = moments_.back();
    const shm::HistogramSnapshot ages = difference(first.eviction_ages, last.eviction_ages);
    Evidence evidence;
    evidence.rates = Rates(first.sample, last.sample);
    evidence.evicted = ages.count;
    evidence.eviction_age_s = ages.percentile(0.5) / 1'000;
    evidence.ttl_s = median_ttl_s(snapshot.keys);
    evidence.gauges = last.sample.gauges;
    evidence.shortage = shm::shortage_of(*inspection_->view().geometry, evidence.gauges);
    return evidence;
}

void TopSource::read_processes(TopSnapshot& snapshot, Evidence& evidence, std::int64_t now_ns) const {
    const std::vector<shm::ProcessFacts> processes = shm::read_processes(inspection_->view());
    snapshot.leases = leases_of(inspection_->view(), processes, now_ns);
    for (const LeaseLine& lease : snapshot.leases)
        if (lease.waiters != 0 && lease.held_ms > evidence.longest_wait_ms) {
            evidence.longest_wait_ms = lease.held_ms;
            evidence.waiters = lease.waiters;
        }
    for (const shm::ProcessFacts& process : processes) {
        const bool stopped = process.alive && shm::process::status_of(process.pid).state == 'T';
        const auto leases = std::count_if(snapshot.leases.begin(), snapshot.leases.end(),
                                          [&](const LeaseLine& lease) { return lease.pid == process.pid; });
        evidence.processes += process.alive ? 1 : 0;
        evidence.stopped += stopped && process.inside ? 1 : 0;
        snapshot.processes.push_back({process.pid, process.role, process.name, ms_since(process.attached_ns, now_ns),
                                      process.threads, static_cast<std::uint32_t>(process.pins.size()),
                                      deeds(process, stopped, leases), process.alive});
    }
}

}  // namespace larder::tools
