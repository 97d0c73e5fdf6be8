// Who is let in by `larder serve`, what the log says of the others, and that a key which is gone opens nothing more.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/tools/serve_scene.hpp"

using namespace larder;
using namespace larder::test;

namespace {

using Clients = std::vector<std::unique_ptr<HttpClient>>;

/// A service with a key file that its configuration file names.
class Keyed {
public:
    Keyed() : service_((write_config(true), school_), {"--config", school_.file("larder.toml")}) {}

    void write_config(bool names_key) const {
        std::ofstream file(school_.file("larder.toml"), std::ios::trunc);
        if (names_key) file << "[serve]\nauth-key-file = \"" << school_.file("key") << "\"\n";
    }
    void write_key(const std::string& key) const { std::ofstream(school_.file("key"), std::ios::trunc) << key << '\n'; }
    bool reload() {
        const std::size_t before = service_.log().size();
        service_.child().kill(SIGHUP);
        return eventually(
            [&] { return service_.log().find("Reloaded: all workers are new", before) != std::string::npos; });
    }
    Service& service() { return service_; }
    /// Each has asked once, and keeps its connection.
    Clients connected(const std::string& token) const {
        Clients clients;
        for (int i = 0; i < 6; ++i) {
            clients.push_back(std::make_unique<HttpClient>(service_.port()));
            REQUIRE(clients.back()->get(analytics(1), token).status == 200);
        }
        return clients;
    }

private:
    ServedSchool school_;
    Service service_;
};

}  // namespace

TEST_CASE("a refused request is a line of the log: what, by whom, and why", "[serve]") {
    Keyed scene;
    CHECK(scene.service().get(analytics(3) + "?token=tell-nobody", bearer(Role::teacher, 7)).status == 403);
    CHECK(scene.service().get(analytics(3), bearer(Role::teacher, 7)).status == 403);  // the access entry is there now
    CHECK(scene.service().get("/metrics", bearer(Role::tutor, 7)).status == 403);
    CHECK(scene.service().get(hit_rate(1)).status == 401);
    const std::string log = scene.service().log();
    const std::string refused =
        "GET /api/assignments/3/analytics/ by user 7 (teacher) at 127.0.0.1 refused with 403: it is another author's";
    const std::size_t first = log.find(refused);
    CHECK(first != std::string::npos);
    CHECK(log.find(refused, first + 1) != std::string::npos);
    CHECK_THAT(
        log, Catch::Contains("GET /metrics by user 7 (tutor) at 127.0.0.1 refused with 403: it takes an admin's role"));
    CHECK_THAT(log, Catch::Contains("by somebody at 127.0.0.1 refused with 401: its token: there is none"));
    CHECK(log.find("tell-nobody") == std::string::npos);
}

TEST_CASE("a key that was taken away opens nothing more, on no connection", "[serve][reload]") {
    Keyed scene;
    const std::string token = bearer(Role::admin, 1);
    const Clients clients = scene.connected(token);
    scene.write_key(std::string(40, 'x'));
    REQUIRE(scene.reload());
    for (const auto& client : clients) CHECK(client->get(analytics(1), token).status != 200);
    CHECK(scene.service().get(analytics(1), token).status == 401);
}

TEST_CASE("a key that is added loses no request on connections that are there", "[serve][reload]") {
    Keyed scene;
    const std::string token = bearer(Role::admin, 1);
    const Clients clients = scene.connected(token);
    scene.write_key(secret + "\nnext:" + std::string(40, 'x'));
    REQUIRE(scene.reload());
    for (const auto& client : clients) CHECK(client->get(analytics(1), token).status == 200);
}

TEST_CASE("a reload that lets everybody in says so", "[serve][reload]") {
    Keyed scene;
    CHECK(scene.service().get(analytics(1)).status == 401);
    scene.write_config(false);
    REQUIRE(scene.reload());
    CHECK_THAT(scene.service().log(),
               Catch::Contains("warning") && Catch::Contains("No --auth-key-file any more: everybody"));
    CHECK(scene.service().get(analytics(1)).status == 200);
}
