// A cache under a promise whose source nobody follows: who says so, and what the options of it do.
#include <string>

#include "tests/support/command_scene.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/tools/serve_scene.hpp"
#include "tools/http/metrics.hpp"
#include "tools/inspection.hpp"
#include "tools/promise_options.hpp"
#include "tools/top_source.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

/// Degraded until somebody says that its source was followed, then well for an hour.
struct PromisingScene {
    ScopedDirectory directory;
    Options options = [this] {
        Options made = small_options(directory.path(), "default");
        made.degraded_after = 1h;
        made.max_stale = 30s;
        return made;
    }();
    Cache cache = Cache::open(options);

    void follow() { cache.synced(cache.begin_sync()); }
    CommandResult run(const std::vector<std::string>& arguments) const {
        return run_larder(directory.path(), arguments);
    }
    std::string metrics() const {
        return tools::metrics_text(tools::inspect(options).view(),
                                   {.cache = "default", .now_ns = tools::segment_now_ns()});
    }
    bool has_verdict() const {
        tools::TopSource source(options);
        source.look();
        for (const tools::Verdict& verdict : source.look().verdicts)
            if (verdict.is_bad && verdict.text.rfind("Degraded: ", 0) == 0) return true;
        return false;
    }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("stat and top and doctor and the metrics say that a cache is degraded", "[cli][metrics][top]") {
    PromisingScene scene;
    CHECK(contains(scene.run({"stat"}).out,
                   "\nsource       DEGRADED: last followed never; degraded after 1h00m, max stale 30.0s\n"));
    json::value sync = scene.run({"stat", "--json"}).json().at("sync");
    CHECK(sync ==
          json::value(
              {{"age_ms", nullptr}, {"degraded_after_ms", 3'600'000}, {"max_stale_ms", 30'000}, {"degraded", true}}));
    CHECK(contains(scene.metrics(), "\nlarder_degraded 1\n"));
    CHECK_FALSE(contains(scene.metrics(), "larder_sync_age_seconds"));
    CHECK(contains(scene.run({"doctor"}).out, "degraded: "));
    CHECK(scene.has_verdict());

    scene.follow();
    CHECK(contains(scene.run({"stat"}).out, "\nsource       last followed "));
    sync = scene.run({"stat", "--json"}).json().at("sync");
    CHECK(sync.at("age_ms").as_int64() >= 0);
    CHECK(sync.at("age_ms").as_int64() < 600'000);
    CHECK(sync.at("degraded") == json::value(false));
    CHECK(contains(scene.metrics(), "\nlarder_degraded 0\n"));
    CHECK(contains(scene.metrics(), "\nlarder_sync_age_seconds "));
    CHECK_FALSE(contains(scene.run({"doctor"}).out, "degraded: "));
    CHECK_FALSE(scene.has_verdict());
}

TEST_CASE("of a cache without a promise nothing is said of its source", "[cli][metrics]") {
    const CommandScene scene;
    CHECK_FALSE(contains(scene.run({"stat"}).out, "\nsource "));
    CHECK(scene.run({"stat", "--json"}).json().at("sync").is_null());
    const tools::Inspection inspection = tools::inspect(small_options(scene.directory.path(), "default"));
    const std::string metrics = tools::metrics_text(inspection.view(), {.cache = "default"});
    CHECK_FALSE(contains(metrics, "larder_degraded"));
    CHECK_FALSE(contains(metrics, "larder_sync_age_seconds"));
}

TEST_CASE("a service that is degraded serves, and says so with each document", "[serve]") {
    const ServedSchool school;
    const Service service(school);
    REQUIRE(service.get(analytics(1)).header("X-Cache") == "miss");
    Options options{.directory = school.file("cache"), .create = false, .role = "test"};
    options.degraded_after = 1h;
    Cache cache = Cache::open(options);
    const HttpAnswer health = service.get("/healthz");
    CHECK(health.status == 200);
    CHECK(health.body == R"({"status":"degraded"})");
    CHECK(service.get(analytics(2)).header("X-Cache") == "miss; degraded");
    CHECK(service.get(analytics(1)).header("X-Cache") == "hit; degraded");  // read within the promise
    CHECK(contains(service.get("/metrics").body, "\nlarder_degraded 1\n"));
    cache.synced(cache.begin_sync());
    CHECK(service.get(analytics(2)).header("X-Cache") == "hit");
    CHECK(service.get("/healthz").body == R"({"status":"ok"})");
}

TEST_CASE("the promise is made for a database that is followed over a network, for no other", "[cli]") {
    const auto made_for = [](const std::string& url, const std::string& degraded_after, const std::string& max_stale) {
        Options cache;
        cache.degraded_after = 7h;
        const auto text_of = [&](std::string_view name) { return name == "max-stale" ? max_stale : degraded_after; };
        tools::PromiseOptions::apply(text_of, tools::DatabaseOption({url, ""}, ""), cache);
        return std::pair(cache.degraded_after, cache.max_stale);
    };
    using Promise = std::pair<std::chrono::milliseconds, std::chrono::milliseconds>;
    CHECK(made_for("school.db", "5s", "1s") == Promise(0ms, 0ms));
    CHECK(made_for("sqlite:school.db", "", "") == Promise(0ms, 0ms));
    CHECK(made_for("postgres://school@db/school", "", "") == Promise(2s, 0ms));
    CHECK(made_for("postgresql://school@db/school", "5s", "1m") == Promise(5s, 1min));
    CHECK_THROWS_AS(made_for("postgres://school@db/school", "999ms", ""), tools::UsageError);
    CHECK_THROWS_AS(made_for("postgres://school@db/school", "x", ""), tools::UsageError);
    CHECK_THROWS_AS(made_for("school.db", "", "x"), tools::UsageError);
}
