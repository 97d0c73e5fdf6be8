// What a Prometheus reads of a cache.
#include "tools/http/metrics.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "shm/histogram.hpp"
#include "tests/support/scoped_cache.hpp"
#include "tests/support/segment_snapshot.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::ScopedCache;
using test::SegmentSnapshot;
using tools::metrics_text;

namespace {

/// The text format 0.0.4, read as strictly as it is described; throws where it is not kept to.
struct Exposition {
    explicit Exposition(const std::string& text) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) read(line);
        REQUIRE(text.back() == '\n');
    }
    double operator[](const std::string& sample) const {
        INFO(sample);
        REQUIRE(samples.count(sample) == 1);
        return samples.at(sample);
    }

    std::map<std::string, double> samples;  // by name and labels
    std::map<std::string, std::string> help, type;
    std::vector<std::string> order;  // of the samples

private:
    void read(const std::string& line) {
        INFO(line);
        for (const auto& [mark, into] : {std::pair("# HELP ", &help), std::pair("# TYPE ", &type)})
            if (line.rfind(mark, 0) == 0) {
                const std::string rest = line.substr(std::strlen(mark));
                const std::string name = rest.substr(0, rest.find(' '));
                REQUIRE(into->emplace(name, rest.substr(name.size() + 1)).second);
                return;
            }
        const std::size_t space = line.rfind(' ');
        const std::string sample = line.substr(0, space), name = sample.substr(0, sample.find('{'));
        REQUIRE(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos);
        REQUIRE(name.rfind("larder_", 0) == 0);
        std::size_t end = 0;
        const double value = std::stod(line.substr(space + 1), &end);
        REQUIRE(end == line.size() - space - 1);
        REQUIRE(samples.emplace(sample, value).second);
        order.push_back(sample);
        REQUIRE(type.count(family_of(name)) == 1);
        REQUIRE(help.count(family_of(name)) == 1);
    }
    std::string family_of(const std::string& name) const {
        for (const char* const end : {"_bucket", "_sum", "_count"})
            if (const std::size_t at = name.rfind(end);
                at != std::string::npos && at + std::strlen(end) == name.size() && type.count(name.substr(0, at)) != 0)
                return name.substr(0, at);
        return name;
    }
};

Exposition metrics_of(const ScopedCache& scoped) { return Exposition(metrics_text(scoped.view(), {.cache = "c"})); }

}  // namespace

TEST_CASE("every counter is a metric, with what it means and what to do about it as its help", "[metrics]") {
    ScopedCache scoped;
    scoped.cache.put("k", "v");
    scoped.cache.get("k");
    scoped.cache.get("k");
    scoped.cache.get("absent");
    const Exposition metrics = metrics_of(scoped);
    CHECK(metrics["larder_hits_total"] == 2);
    CHECK(metrics["larder_misses_total{reason=\"cold\"}"] == 1);
    CHECK(metrics["larder_misses_total{reason=\"evicted\"}"] == 0);
    CHECK(metrics["larder_puts_total"] == 1);
    for (const shm::CounterText& row : shm::kCounterTable) {
        const std::string name(row.name);
        const bool is_miss = name.rfind("misses_", 0) == 0;
        const std::string family = is_miss ? "larder_misses_total" : "larder_" + name + "_total";
        INFO(name);
        REQUIRE(metrics.type.count(family) == 1);
        CHECK(metrics.type.at(family) == "counter");
        CHECK(metrics.help.at(family).find(std::string(row.meaning).substr(1)) != std::string::npos);
        CHECK(metrics.help.at(family).find(row.remedy) != std::string::npos);
        if (is_miss) CHECK(metrics.samples.count(family + "{reason=\"" + name.substr(7) + "\"}") == 1);
    }
}

TEST_CASE("a counter of a newer library is a metric by the name that the segment has for it", "[metrics]") {
    ScopedCache scoped;
    const std::uint32_t newer = shm::kCounters;
    REQUIRE(newer < shm::kThreadCounters);
    const SegmentSnapshot snapshot(scoped.cache.segment_path());
    const shm::SegmentView& view = snapshot.view();
    std::strcpy(view.header().labels[newer].name, "odd name\n{x=\"1\"}");
    std::strcpy(view.header().labels[newer].meaning, "what a newer one\ncounts");
    view.header().overflow_counts[newer].store(41);
    const Exposition metrics(metrics_text(view, {.cache = "c"}));
    CHECK(metrics["larder_odd_name__x__1___total"] == 41);
    CHECK(metrics.help.at("larder_odd_name__x__1___total").find("What a newer one") == 0);
}

TEST_CASE("gauges are those of the segment", "[metrics]") {
    ScopedCache scoped;
    scoped.cache.put("k:1", std::string(1'000, 'v'));
    scoped.cache.put("k:2", "v");
    scoped.cache.invalidate("k:1");
    const Exposition metrics = metrics_of(scoped);
    CHECK(metrics["larder_entries"] == static_cast<double>(scoped.entries()));
    CHECK(metrics["larder_payload_bytes"] >= 1'000);
    CHECK(metrics["larder_arena_used_bytes"] <= metrics["larder_arena_bytes"]);
    CHECK(metrics["larder_segment_bytes"] == static_cast<double>(scoped.view().geometry->segment_bytes));
    CHECK(metrics["larder_processes_attached"] == 1);
    CHECK(metrics["larder_processes_ended"] == 0);
    CHECK(metrics["larder_notices_total"] == 1);
    CHECK(metrics["larder_computations_running"] == 0);
}

TEST_CASE("histograms are cumulative, in seconds, and agree with themselves", "[metrics]") {
    ScopedCache scoped;
    for (int i = 0; i < 3; ++i)
        scoped.cache.get_or_compute("k:" + std::to_string(i), [] { return std::optional<std::string>("v"); }, {});
    const Exposition metrics = metrics_of(scoped);
    for (const std::string name : {"larder_lookup_seconds", "larder_compute_seconds", "larder_eviction_age_seconds"}) {
        INFO(name);
        CHECK(metrics.type.at(name) == "histogram");
        double below = 0, bound = 0;
        std::size_t buckets = 0;
        for (const std::string& sample : metrics.order) {
            if (sample.rfind(name + "_bucket{le=\"", 0) != 0) continue;
            const std::string le = sample.substr(name.size() + 12, sample.size() - name.size() - 14);
            CHECK(metrics[sample] >= below);
            below = metrics[sample];
            const double next = le == "+Inf" ? HUGE_VAL : std::stod(le);
            CHECK(next > bound);
            bound = next;
            ++buckets;
        }
        CHECK(buckets > 15);
        CHECK(std::isinf(bound));
        CHECK(below == metrics[name + "_count"]);
        CHECK(std::isfinite(metrics[name + "_sum"]));
    }
    CHECK(metrics["larder_compute_seconds_count"] == 3);
}

TEST_CASE("a value is in the bucket that the segment has it in, by its unit", "[metrics]") {
    ScopedCache scoped;
    const SegmentSnapshot snapshot(scoped.cache.segment_path());
    const shm::SegmentView& view = snapshot.view();
    shm::add(view.header().compute_us, 100);            // 64 to 128 us
    shm::add(view.header().compute_us, 1);              // below all bounds
    shm::add(view.header().compute_us, 1'000'000'000);  // above all bounds
    const Exposition metrics(metrics_text(view, {.cache = "c"}));
    std::map<double, double> below;
    for (const auto& [sample, value] : metrics.samples)
        if (const std::string begin = "larder_compute_seconds_bucket{le=\""; sample.rfind(begin, 0) == 0)
            if (const std::string le = sample.substr(begin.size()); le.rfind("+Inf", 0) != 0)
                below[std::stod(le)] = value;
    REQUIRE_FALSE(below.empty());
    CHECK(below.begin()->first == Approx(64e-6));
    CHECK(below.begin()->second == 1);
    CHECK(below.lower_bound(127e-6)->second == 2);
    CHECK(below.rbegin()->second == 2);
    CHECK(metrics["larder_compute_seconds_count"] == 3);
    CHECK(metrics["larder_compute_seconds_sum"] == Approx(1'000.000101));
}

TEST_CASE("what the segment does not know stands beside it", "[metrics]") {
    ScopedCache scoped;
    const std::map<std::string, double> jobs{{"queued", 2}, {"done", 5}};
    const Exposition metrics(
        metrics_text(scoped.view(), {.cache = "school", .relay_caught_up = true, .listening = false, .jobs = jobs}));
    CHECK(metrics["larder_relay_caught_up"] == 1);
    CHECK(metrics["larder_listening"] == 0);
    CHECK(metrics["larder_warm_jobs{state=\"queued\"}"] == 2);
    CHECK(metrics["larder_warm_jobs{state=\"done\"}"] == 5);
    CHECK(metrics_of(scoped).samples.count("larder_warm_jobs{state=\"queued\"}") == 0);
    bool is_named = false;
    for (const auto& [sample, value] : metrics.samples)
        is_named = is_named || sample.rfind("larder_info{cache=\"school\",version=\"", 0) == 0;
    CHECK(is_named);
}

TEST_CASE("no key is in the metrics", "[metrics]") {
    ScopedCache scoped;
    scoped.cache.put("secret:key", "v");
    scoped.cache.get("secret:key");
    scoped.cache.invalidate("secret:key");
    CHECK(metrics_text(scoped.view(), {.cache = "c"}).find("secret") == std::string::npos);
}
