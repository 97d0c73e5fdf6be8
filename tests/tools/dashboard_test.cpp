// The dashboard and the metrics of a running service, as a browser and a Prometheus meet them.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/tools/serve_scene.hpp"
#include "tools/http/snapshot_feed.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const std::string events = "/api/cache/events/";

/// One who watches.
class Watcher {
public:
    Watcher(const Service& service, const std::string& headers) : client_(service.port()) {
        REQUIRE(client_.send("GET " + events + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n"));
        head_ = client_.receive();
    }
    const HttpAnswer& head() const { return head_; }
    /// The next event of that name; an empty object: there came none.
    json::object next(const std::string& name) {
        std::string text;
        if (!client_.receives("event: " + name + "\ndata: ") || !client_.receives_until("\n\n", text)) return {};
        return json::parse(text).as_object();
    }
    bool is_ended() {
        while (client_.receives("\n\n")) {}
        return client_.is_ended();
    }

private:
    HttpClient client_;
    HttpAnswer head_;
};

std::string short_lived(Role role, UserId user_id, std::chrono::milliseconds lifetime) {
    const auto keys = tools::KeyRing::parse(secret);
    return "Authorization: Bearer " +
           tools::make_token({.user_id = user_id, .role = role}, lifetime, keys, tools::WallClock::now()) + "\r\n";
}

/// The metrics as each worker gives them.
std::map<std::string, std::string> metrics_of_all(const Service& service) {
    std::map<std::string, std::string> texts;
    REQUIRE(eventually([&] {
        const HttpAnswer answer = service.get("/metrics");
        texts[answer.header("X-Worker")] = answer.body;
        return texts.size() == 2;
    }));
    return texts;
}

}  // namespace

TEST_CASE("the page needs no token, says whether its data do, and lets nothing in from elsewhere", "[serve]") {
    const ServedSchool school;
    for (const bool is_closed : {false, true}) {
        const Service service(school, is_closed ? with_key(school) : no_more, is_closed ? "closed" : "open");
        const HttpAnswer page = service.get("/");
        CHECK(page.status == 200);
        CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
        CHECK(page.header("Content-Security-Policy").find("default-src 'none'; script-src 'self'") == 0);
        CHECK(page.header("X-Content-Type-Options") == "nosniff");
        CHECK(page.body.find(is_closed ? "data-token=\"needed\"" : "data-token=\"none\"") != std::string::npos);
        CHECK(page.body.find("://") == std::string::npos);
        for (const char* file : {"/web/main.js", "/web/style.css", "/web/icon.svg", "/web/uplot.js"})
            CHECK(service.get(file).status == 200);
        CHECK(service.get(events).status == (is_closed ? 401 : 200));
    }
}

TEST_CASE("metrics are an admin's, the same from every worker, and change nothing", "[serve]") {
    const ServedSchool school;
    {
        const Service closed(school, with_key(school), "closed");
        CHECK(closed.get("/metrics").status == 401);
        CHECK(closed.get("/metrics", bearer(Role::teacher, 7)).status == 403);
        CHECK(closed.get("/metrics", bearer(Role::admin, 1)).status == 200);
    }
    const Service service(school);
    for (int n = 0; n < 3; ++n) CHECK(service.get(analytics(1)).status == 200);
    const auto texts = metrics_of_all(service);
    CHECK(texts.begin()->second == texts.rbegin()->second);
    CHECK(texts.begin()->second.find("\nlarder_hits_total 2\n") != std::string::npos);
    CHECK(texts.begin()->second.find("\nlarder_relay_caught_up 1\n") != std::string::npos);
    CHECK(texts.begin()->second.find("\nlarder_listening 1\n") != std::string::npos);
    CHECK(texts.begin()->second.find("\nlarder_warm_jobs{state=\"queued\"} 0\n") != std::string::npos);
    CHECK(service.get("/metrics").header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("an admin watches all assignments, an author his own, and a student none", "[serve]") {
    const ServedSchool school;
    const Service service(school, with_key(school));
    const std::string admin = bearer(Role::admin, 1);
    for (int n = 0; n < 3; ++n) CHECK(service.get(analytics(3), admin).status == 200);
    CHECK(service.get(events, bearer(Role::student, 7)).status == 403);

    Watcher all(service, admin), own(service, bearer(Role::teacher, 7));
    CHECK(all.head().status == 200);
    CHECK(all.head().header("Content-Type") == "text/event-stream");
    CHECK(all.next("hello").at("role") == "admin");
    CHECK(own.next("hello").at("user") == 7);
    const json::object seen = all.next("snapshot"), seen_by_author = own.next("snapshot");
    REQUIRE(seen.contains("assignments"));
    CHECK(seen.at("assignments").as_array().size() == 3);
    CHECK(seen.at("assignments").at(0).at("id") == 3);
    CHECK(seen.at("assignments").at(0).at("hits") == 2);
    CHECK(json::serialize(seen.at("keys")).find("assignment_stats:3") != std::string::npos);
    CHECK(seen_by_author.at("assignments").as_array().size() == 2);
    CHECK(json::serialize(seen_by_author).find("assignment_stats") == std::string::npos);
    CHECK(seen_by_author.at("counters").at("hits") == 2);
    CHECK(all.next("snapshot").at("at").as_int64() > seen.at("at").as_int64());
}

TEST_CASE("a stream ends with its token", "[serve]") {
    const ServedSchool school;
    const Service service(school, with_key(school));
    Watcher watcher(service, short_lived(Role::admin, 1, 2s));
    CHECK(watcher.next("snapshot").contains("rates"));
    CHECK(watcher.is_ended());
}

TEST_CASE("only so many watch a worker, and whoever leaves makes room", "[serve]") {
    const ServedSchool school;
    const Service service(school);
    std::vector<std::unique_ptr<Watcher>> watchers;
    // Two workers, of which each takes some.
    REQUIRE(eventually([&] {
        watchers.push_back(std::make_unique<Watcher>(service, ""));
        return watchers.back()->head().status == 503;
    }));
    CHECK(watchers.size() > tools::SnapshotFeed::most_watchers);
    CHECK(watchers.size() <= 2 * tools::SnapshotFeed::most_watchers + 1);
    const std::string full = watchers.back()->head().header("X-Worker");
    watchers.clear();
    CHECK(eventually([&] {
        const Watcher watcher(service, "");
        return watcher.head().status == 200 && watcher.head().header("X-Worker") == full;
    }));
}

TEST_CASE("who watches changes neither counts nor what is evicted", "[serve]") {
    const ServedSchool school;
    const Service service(school);
    CHECK(service.get(analytics(1)).status == 200);
    const std::string before = metrics_of_all(service).begin()->second;
    Watcher watcher(service, "");
    for (int n = 0; n < 3; ++n) CHECK(watcher.next("snapshot").contains("rates"));
    CHECK(metrics_of_all(service).begin()->second == before);
}
