// What the dashboard is sent, and to whom.
#include "tools/dashboard_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shm/system.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/top_source.hpp"

using namespace larder;
using namespace larder::tools;
namespace json = boost::json;

namespace {

struct Scene {
    json::object sent(Role role) {
        TopSource source(options);
        source.look();
        TopSnapshot top = source.look();
        DashboardMoment moment = read_moment(*source.view(), std::move(top), shm::system::monotonic_ns());
        moment.at_ms = 1'000;
        moment.jobs = jobs;
        return json::parse(
                   moment_json(moment, role, {{.id = 7, .hits = 5, .misses = 1}, {.id = 9, .is_counted = false}}))
            .as_object();
    }
    Options options_in_directory() const {
        Options made;
        made.directory = directory.path();
        made.size_bytes = 16ULL << 20;
        return made;
    }
    const test::ScopedDirectory directory;
    const Options options = options_in_directory();
    Cache cache = Cache::open(options);
    std::optional<std::vector<WarmJob>> jobs = std::vector<WarmJob>();
};

std::vector<std::string> keys_in(const json::object& sent, const char* list) {
    std::vector<std::string> keys;
    for (const json::value& key : sent.at("keys").at(list).as_array())
        keys.emplace_back(key.as_object().contains("key") ? key.at("key").as_string().c_str() : "(bytes)");
    return keys;
}

}  // namespace

TEST_CASE("an admin is sent keys, notices and processes; others are sent no key at all", "[dashboard]") {
    Scene scene;
    scene.cache.put("secret:1", "v");
    scene.cache.get("secret:1");
    scene.cache.invalidate("secret:2");
    const json::object admin = scene.sent(Role::admin);
    CHECK(keys_in(admin, "hottest") == std::vector<std::string>{"secret:1"});
    CHECK(admin.at("notices").at(0).at("text") == "secret:2");
    CHECK(admin.at("processes").as_array().size() == 1);
    for (const Role role : {Role::teacher, Role::tutor}) {
        const json::object sent = scene.sent(role);
        CHECK_FALSE(sent.contains("keys"));
        CHECK_FALSE(sent.contains("processes"));
        CHECK(sent.at("notices").at(0).at("kind") == "key");
        CHECK(json::serialize(sent).find("secret") == std::string::npos);
        CHECK(sent.at("assignments").at(0).at("hits") == 5);
        CHECK(sent.at("assignments").at(0).at("counted") == true);
        CHECK(sent.at("assignments").at(1).at("counted") == false);
        CHECK(sent.at("counters").at("hits") == 1);
    }
}

TEST_CASE("the keys asked for most, and those missed most, come first", "[dashboard]") {
    Scene scene;
    for (const auto& [key, hits] : {std::pair("a", 1), std::pair("b", 9), std::pair("c", 4)}) {
        scene.cache.put(key, "v");
        for (int n = 0; n < hits; ++n) scene.cache.get(key);
    }
    scene.cache.erase("a");
    for (int n = 0; n < 6; ++n) scene.cache.get("a");
    const json::object sent = scene.sent(Role::admin);
    CHECK(keys_in(sent, "hottest") == std::vector<std::string>{"b", "", "c"});
    CHECK(keys_in(sent, "worst") == std::vector<std::string>{""});
    CHECK(sent.at("keys").at("worst").at(0).at("misses") == 6);
    CHECK(sent.at("keys").at("worst").at(0).at("state").is_null());
    CHECK(sent.at("keys").at("hottest").at(0).at("state") == "live");
}

TEST_CASE("a key that is not in the cache is told by its hash, or by the assignment that it is of", "[dashboard]") {
    Scene scene;
    scene.cache.put("assignment_stats:7", "v");
    scene.cache.erase("assignment_stats:7");
    scene.cache.get("assignment_stats:7");
    TopSource source(scene.options);
    source.look();
    TopSnapshot top = source.look();
    DashboardMoment moment = read_moment(*source.view(), std::move(top), shm::system::monotonic_ns());
    REQUIRE(moment.top.keys.size() == 1);
    const std::uint64_t hash = moment.top.keys[0].hash;
    const auto worst = [&] {
        const json::object sent = json::parse(moment_json(moment, Role::admin, {})).as_object();
        return sent.at("keys").at("worst").at(0).as_object();
    };
    name_absent_keys(moment, {{.id = 8, .key_hash = hash + 1}});
    CHECK(worst().at("key") == "");
    CHECK(std::stoull(worst().at("hash").as_string().c_str(), nullptr, 16) == hash);
    name_absent_keys(moment, {{.id = 7, .key_hash = hash}});
    CHECK(worst().at("key") == "assignment_stats:7");
    CHECK(worst().at("misses") == 1);
    CHECK(worst().at("state").is_null());
}

TEST_CASE("a process that has ended is listed, and not counted as attached", "[dashboard]") {
    Scene scene;
    TopSource source(scene.options);
    DashboardMoment moment = read_moment(*source.view(), source.look(), shm::system::monotonic_ns());
    REQUIRE(moment.top.processes.size() == 1);
    CHECK(json::parse(moment_json(moment, Role::admin, {})).at("processes_attached") == 1);
    moment.top.processes[0].is_alive = false;
    const json::object sent = json::parse(moment_json(moment, Role::admin, {})).as_object();
    CHECK(sent.at("processes_attached") == 0);
    CHECK(sent.at("processes").as_array().size() == 1);
}

TEST_CASE("while nothing is asked for there is no hit rate, and another cache has another incarnation", "[dashboard]") {
    Scene scene, other;
    const json::object sent = scene.sent(Role::tutor);
    CHECK(sent.at("rates").at("hit_percentage").is_null());
    CHECK(sent.at("cache").at("incarnation") == scene.sent(Role::tutor).at("cache").at("incarnation"));
    CHECK(sent.at("cache").at("incarnation") != other.sent(Role::tutor).at("cache").at("incarnation"));
}

TEST_CASE("keys that are no text, or mean something elsewhere, are sent as they are", "[dashboard]") {
    Scene scene;
    const std::string markup = "</script><img src=x onerror=alert(1)>\n\ndata: x", bytes = "\xff\xfe\x80";
    for (const std::string& key : {markup, bytes, std::string(1'024, 'k')}) {
        scene.cache.put(key, "v");
        scene.cache.get(key);
        scene.cache.invalidate(key);
    }
    TopSource source(scene.options);
    source.look();
    TopSnapshot top = source.look();
    const DashboardMoment moment = read_moment(*source.view(), std::move(top), shm::system::monotonic_ns());
    const std::string text = moment_json(moment, Role::admin, {});
    CHECK(text.find('\n') == std::string::npos);  // would end the event
    const json::object sent = json::parse(text).as_object();
    bool has_markup = false, has_bytes = false;
    for (const json::value& key : sent.at("keys").at("hottest").as_array()) {
        has_markup = has_markup || (key.as_object().contains("key") && key.at("key").as_string() == markup);
        has_bytes = has_bytes || (key.as_object().contains("key_base64") && key.at("key_base64") == "//6A");
    }
    CHECK(has_markup);
    CHECK(has_bytes);
    CHECK(sent.at("notices").at(0).at("cut") == true);
}

TEST_CASE("a distribution begins and ends with a bucket that is not empty", "[dashboard]") {
    Scene scene;
    const auto compute = [&](const std::string& key) {
        scene.cache.get_or_compute(key, [] { return std::optional<std::string>("v"); }, {});
    };
    CHECK(scene.sent(Role::admin).at("distributions").at("compute_us").at("buckets").as_array().empty());
    compute("a");
    compute("b");
    const json::object sent = scene.sent(Role::admin);
    const json::object& computed = sent.at("distributions").at("compute_us").as_object();
    CHECK(computed.at("count") == 2);
    const json::array& buckets = computed.at("buckets").as_array();
    REQUIRE_FALSE(buckets.empty());
    CHECK(buckets.front().at(1).to_number<int>() > 0);
    CHECK(buckets.back().at(1).to_number<int>() > 0);
}

TEST_CASE("jobs that cannot be read are null, which is not none", "[dashboard]") {
    Scene scene;
    CHECK(scene.sent(Role::teacher).at("jobs").as_array().empty());
    scene.jobs = std::vector<WarmJob>{{.id = 3, .state = WarmJob::State::running, .total = 10, .done = 4}};
    CHECK(scene.sent(Role::teacher).at("jobs").at(0).at("done") == 4);
    scene.jobs = std::nullopt;
    CHECK(scene.sent(Role::teacher).at("jobs").is_null());
}

TEST_CASE("where there is no cache, it is said why, and nothing else", "[dashboard]") {
    DashboardMoment moment;
    moment.top.absent = "no cache x in y";
    const json::object sent = json::parse(moment_json(moment, Role::admin, {})).as_object();
    CHECK(sent.at("absent") == "no cache x in y");
    CHECK_FALSE(sent.contains("rates"));
}

TEST_CASE("a greeting names the caller, and all counters with their remedies", "[dashboard]") {
    const json::object hello = json::parse(hello_json({.user_id = 7, .role = Role::tutor}, "default")).as_object();
    CHECK(hello.at("role") == "tutor");
    CHECK(hello.at("user") == 7);
    CHECK(hello.at("counters").as_array().size() == shm::kCounters);
}
