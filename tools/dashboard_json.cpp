#include "tools/dashboard_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <numeric>
#include <utility>

#include "core/cache_keys.hpp"
#include "shm/elapsed.hpp"
#include "shm/entry_cursor.hpp"
#include "shm/hash.hpp"
#include "shm/key_table.hpp"
#include "tools/http/token.hpp"
#include "tools/json_lines.hpp"
#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

namespace json = boost::json;

constexpr std::int64_t kNsPerMs = 1'000'000;

json::object rates_json(const Rates& rates) {
    const auto percentage = rates.hit_percentage();
    json::object object{{"lookups", rates.lookups()},
                        {"misses", rates.misses()},
                        {"hit_percentage", percentage ? json::value(*percentage) : json::value(nullptr)}};
    for (const shm::CounterText& row : shm::kCounterTable) object[row.name] = rates[row.counter];
    return object;
}

json::object totals_json(const DashboardMoment& moment) {
    json::object object;
    for (const auto& [name, value] : moment.totals) object[name] = value;
    return object;
}

/// `buckets`: `[below, count]`, from the first to the last that is not empty.
json::object histogram_json(const shm::HistogramSnapshot& shot) {
    json::array buckets;
    std::uint64_t left = shot.count;
    for (std::uint32_t b = 0; b < shm::kBuckets && left != 0; ++b) {
        if (buckets.empty() && shot.buckets[b] == 0) continue;
        buckets.push_back(json::array{shm::bucket_floor(b + 1), shot.buckets[b]});
        left -= std::min(left, shot.buckets[b]);
    }
    return {{"count", shot.count},
            {"p50", shot.percentile(0.5)},
            {"p99", shot.percentile(0.99)},
            {"buckets", std::move(buckets)}};
}

json::object key_json(const KeyHeat& key, const AssignmentRate& use) {
    json::object object;
    put_text(object, "key", key.text);
    object["hash"] = fmt::format("{:016x}", key.hash);
    object["hits_per_second"] = key.hits;
    object["misses_per_second"] = key.misses;
    object["hits"] = use.hits;
    object["misses"] = use.misses;
    object["state"] = key.state ? json::value(shm::name_of(*key.state)) : json::value(nullptr);
    object["size_bytes"] = key.value_bytes;
    object["age_ms"] = key.age_ms;
    object["ttl_ms"] = key.ttl_ms;
    object["lifetime_ms"] = key.lifetime_ms;
    return object;
}

/// The keys for which `now`, and among equals `ever`, is highest; none for which `ever` is 0.
template <class Now, class Ever>
json::array highest(const DashboardMoment& moment, Now now, Ever ever) {
    std::vector<std::size_t> order(moment.top.keys.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto value = [&](std::size_t at) { return std::pair(now(moment.top.keys[at]), ever(moment.key_uses[at])); };
    const auto none = [&](std::size_t at) { return value(at).second == 0; };
    order.erase(std::remove_if(order.begin(), order.end(), none), order.end());
    const auto shown = static_cast<std::ptrdiff_t>(std::min(order.size(), kShownKeys));
    std::partial_sort(order.begin(), order.begin() + shown, order.end(), [&](std::size_t a, std::size_t b) {
        // Of equals always the same one, so that nobody sees them change places.
        return value(a) != value(b) ? value(a) > value(b) : moment.top.keys[a].hash < moment.top.keys[b].hash;
    });
    json::array keys;
    for (std::ptrdiff_t i = 0; i < shown; ++i) {
        const std::size_t at = order[static_cast<std::size_t>(i)];
        keys.push_back(key_json(moment.top.keys[at], moment.key_uses[at]));
    }
    return keys;
}

json::object keys_json(const DashboardMoment& moment) {
    return {{"hottest", highest(
                            moment, [](const KeyHeat& key) { return key.lookups(); },
                            [](const AssignmentRate& use) { return use.lookups(); })},
            {"worst", highest(
                          moment, [](const KeyHeat& key) { return key.misses; },
                          [](const AssignmentRate& use) { return use.misses; })}};
}

json::array processes_json(const TopSnapshot& top) {
    json::array processes;
    for (const ProcessLine& process : top.processes) {
        json::object object{{"pid", process.pid}, {"attached_ms", process.attached_ms}, {"does", process.does}};
        put_text(object, "role", process.role);
        put_text(object, "name", process.name);
        processes.push_back(std::move(object));
    }
    return processes;
}

/// The newest first.
json::array notices_json(const DashboardMoment& moment, Role role) {
    json::array notices;
    for (auto at = moment.notices.rbegin(); at != moment.notices.rend() && notices.size() < kShownNotices; ++at) {
        const std::int64_t age_ms = std::max<std::int64_t>(0, shm::elapsed_ns(at->at_ns, moment.now_ns)) / kNsPerMs;
        json::object object{{"number", at->number}, {"age_ms", age_ms}, {"kind", shm::name_of(at->kind)}};
        if (role == Role::admin) {
            put_text(object, "text", at->text);
            object["cut"] = at->cut;
        }
        notices.push_back(std::move(object));
    }
    return notices;
}

json::value jobs_json(const std::optional<std::vector<WarmJob>>& jobs) {
    if (!jobs) return nullptr;
    json::array array;
    for (const WarmJob& job : *jobs) array.push_back(json::parse(to_json(job)));
    return array;
}

json::array verdicts_json(const TopSnapshot& top) {
    json::array verdicts;
    for (const Verdict& verdict : top.verdicts)
        verdicts.push_back(json::object{{"bad", verdict.is_bad}, {"text", verdict.text}});
    return verdicts;
}

json::array assignments_json(const std::vector<AssignmentRate>& assignments) {
    json::array array;
    for (const AssignmentRate& one : assignments)
        array.push_back(
            json::object{{"id", one.id}, {"hits", one.hits}, {"misses", one.misses}, {"counted", one.is_counted}});
    return array;
}

json::object memory_json(const DashboardMoment& moment) {
    const shm::Gauges& gauges = moment.top.gauges;
    return {{"entries", gauges.entries},
            {"payload_bytes", gauges.payload_bytes},
            {"arena_used_bytes", gauges.arena_used_bytes},
            {"arena_bytes", gauges.arena_bytes}};
}

}  // namespace

DashboardMoment read_moment(const shm::SegmentView& view, TopSnapshot top, std::int64_t now_ns) {
    DashboardMoment moment;
    moment.top = std::move(top);
    moment.now_ns = now_ns;
    const shm::CounterTotals totals = shm::read_totals(view);
    for (std::uint32_t i = 0; i < shm::kThreadCounters; ++i)
        if (std::string name = shm::read_label(view, i).name; !name.empty())
            moment.totals.emplace_back(escaped(name), totals.values[i]);
    moment.lookup_ns = shm::snapshot(view.header().lookup_ns);
    moment.compute_us = shm::snapshot(view.header().compute_us);
    moment.eviction_age_ms = shm::snapshot(view.header().eviction_age_ms);
    moment.notices = shm::read_notices(view);
    const shm::KeyTable table(view);
    for (const KeyHeat& key : moment.top.keys) {
        const KeyUse use = table.use(key.hash, shm::shard_of(key.hash, view.geometry->shards), now_ns);
        moment.key_uses.push_back({.hits = use.hits, .misses = use.misses});
    }
    return moment;
}

void name_absent_keys(DashboardMoment& moment, const std::vector<AssignmentRate>& assignments) {
    for (KeyHeat& key : moment.top.keys) {
        if (!key.text.empty()) continue;
        const auto known = std::find_if(assignments.begin(), assignments.end(),
                                        [&](const AssignmentRate& one) { return one.key_hash == key.hash; });
        if (known != assignments.end()) key.text = stats_key(known->id);
    }
}

std::string hello_json(const Caller& caller, const std::string& cache) {
    json::array counters;
    for (const shm::CounterText& row : shm::kCounterTable)
        counters.push_back(json::object{{"name", row.name}, {"meaning", row.meaning}, {"remedy", row.remedy}});
    json::object object{{"role", name_of(caller.role)}, {"user", caller.user_id}, {"version", LARDER_VERSION}};
    put_text(object, "cache", cache);
    object["counters"] = std::move(counters);
    return json_text(object);
}

std::string moment_json(const DashboardMoment& moment, Role role, const std::vector<AssignmentRate>& assignments) {
    json::object object{{"at", moment.at_ms}};
    if (!moment.top.absent.empty()) {
        put_text(object, "absent", moment.top.absent);
        return json_text(object);
    }
    object["cache"] = json::object{{"incarnation", fmt::format("{:016x}", moment.top.incarnation)},
                                   {"made_ms", moment.top.made_ms},
                                   {"segment_bytes", moment.top.segment_bytes}};
    object["rates"] = rates_json(moment.top.rates);
    object["counters"] = totals_json(moment);
    object["memory"] = memory_json(moment);
    object["distributions"] = json::object{{"lookup_ns", histogram_json(moment.lookup_ns)},
                                           {"compute_us", histogram_json(moment.compute_us)},
                                           {"eviction_age_ms", histogram_json(moment.eviction_age_ms)}};
    object["processes_attached"] = moment.top.living_processes();
    object["computing"] = moment.top.leases.size();
    object["verdicts"] = verdicts_json(moment.top);
    object["assignments"] = assignments_json(assignments);
    object["jobs"] = jobs_json(moment.jobs);
    object["notices"] = notices_json(moment, role);
    if (role == Role::admin) {
        object["keys"] = keys_json(moment);
        object["processes"] = processes_json(moment.top);
    }
    return json_text(object);
}

}  // namespace larder::tools
