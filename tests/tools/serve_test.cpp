// `larder serve` as its users meet it.
#include "tests/tools/serve_scene.hpp"

#include <functional>

#include "core/cache_keys.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;
using School = larder::test::ServedSchool;

TEST_CASE("the first request of a page is a miss, the next a hit with the same bytes", "[serve]") {
    const School school;
    const Service service(school);
    const HttpAnswer first = service.get(analytics(1));
    CHECK(first.status == 200);
    CHECK(first.header("X-Cache") == "miss");
    CHECK(first.body.find(R"("mean":80.0)") != std::string::npos);
    const HttpAnswer second = service.get(analytics(1));
    CHECK(second.header("X-Cache") == "hit");
    CHECK(second.body == first.body);
    const HttpAnswer rate = service.get(hit_rate(1));
    const std::string expected = R"("hits":1,"misses":1,"total":2,"hit_rate_percentage":50.0,)"
                                 R"("cache_key":"assignment_stats:1","ttl_seconds":300)";
    CHECK(rate.body.find(expected) != std::string::npos);
    CHECK(rate.header("X-Cache").empty());
    CHECK(service.get("/healthz").header("X-Cache").empty());
}

TEST_CASE("both workers are given the entry that one of them computed", "[serve]") {
    const School school;
    const Service service(school);
    REQUIRE(service.get(analytics(1)).status == 200);
    std::set<std::string> workers;
    CHECK(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1));
        REQUIRE(answer.header("X-Cache") == "hit");
        workers.insert(answer.header("X-Worker"));
        return workers.size() == 2;
    }));
    std::set<std::string> children;
    for (const pid_t pid : service.workers()) children.insert(std::to_string(pid));
    CHECK(workers == children);
}

TEST_CASE("a change that anybody commits is on the page soon after", "[serve]") {
    School school;
    const Service service(school);
    REQUIRE(service.get(analytics(1)).status == 200);
    school.sql("UPDATE submissions SET score = 100 WHERE submission_id = 11");
    CHECK(eventually([&] { return service.get(analytics(1)).body.find(R"("mean":90.0)") != std::string::npos; }));
    school.sql("UPDATE assignments SET author_id = 8 WHERE assignment_id = 1");
    school.sql("DELETE FROM submissions WHERE assignment_id = 2");
    school.sql("DELETE FROM assignments WHERE assignment_id = 2");
    CHECK(eventually([&] { return service.get(analytics(2)).status == 404; }));
    CHECK(eventually([&] { return school.outbox_rows() == 0; }));
}

TEST_CASE("a worker killed with -9 is replaced, and the entry is still a hit", "[serve]") {
    const School school;
    Service service(school);
    const HttpAnswer page = service.get(analytics(1));
    const std::set<pid_t> before = service.workers();
    REQUIRE(before.size() == 2);
    const pid_t victim = std::stoi(page.header("X-Worker"));
    REQUIRE(::kill(victim, SIGKILL) == 0);
    std::string newcomer;
    CHECK(eventually([&] {
        for (const pid_t pid : service.workers())
            if (before.count(pid) == 0) newcomer = std::to_string(pid);
        return !newcomer.empty() && service.workers().size() == 2;
    }));
    CHECK(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1));
        if (answer.status == 0) return false;  // was waiting at the dead worker's socket
        REQUIRE(answer.header("X-Cache") == "hit");
        REQUIRE(answer.body == page.body);
        return answer.header("X-Worker") == newcomer;
    }));
    CHECK(service.get("/healthz").status == 200);
}

TEST_CASE("all workers know the keys that the service was started with, late ones too", "[serve]") {
    const School school;
    const Service service(school, with_key(school));
    const std::string token = bearer(Role::teacher, 7);
    const std::set<pid_t> before = service.workers();
    std::ofstream(school.file("key"), std::ios::trunc) << std::string(40, 'x') << '\n';
    REQUIRE(::kill(*before.begin(), SIGKILL) == 0);
    std::set<std::string> answered;
    CHECK(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1), token);
        if (answer.status == 0) return false;  // was waiting at the dead worker's socket
        REQUIRE(answer.status == 200);
        answered.insert(answer.header("X-Worker"));
        answered.erase(std::to_string(*before.begin()));
        return answered.size() == 2;
    }));
}

TEST_CASE("SIGTERM ends supervisor and workers, with exit code 0", "[serve]") {
    const School school;
    Service service(school);
    const std::set<pid_t> workers = service.workers();
    HttpClient idle(service.port());
    CHECK(idle.get(analytics(1)).status == 200);
    service.child().kill(SIGTERM);
    CHECK(service.child().wait().exited_with(0));
    CHECK(idle.is_ended());
    CHECK_FALSE(HttpClient(service.port()).connected());
    for (const pid_t worker : workers) CHECK_FALSE(is_alive(worker));
}

TEST_CASE("workers do not outlive a supervisor that is killed", "[serve]") {
    const School school;
    Service service(school);
    const std::set<pid_t> workers = service.workers();
    REQUIRE(workers.size() == 2);
    service.child().kill(SIGKILL);
    CHECK(service.child().wait().was_killed_by(SIGKILL));
    for (const pid_t worker : workers) CHECK(eventually([&] { return !is_alive(worker); }));
    const Service next(school, no_more, "next");
    CHECK(next.get(analytics(1)).status == 200);
}

TEST_CASE("a second service on a taken port is refused, on another port it shares the entries", "[serve]") {
    School school;
    const Service service(school);
    REQUIRE(service.get(analytics(1)).header("X-Cache") == "miss");
    std::vector<std::string> same = Service::arguments(school, no_more, "same");
    same[8] = "127.0.0.1:" + std::to_string(service.port());
    CHECK(exit_code(school, "same", same) == 3);
    CHECK(text_of(school.file("same.log")).find("is taken") != std::string::npos);

    const Service second(school, no_more, "second");
    CHECK(second.get(analytics(1)).header("X-Cache") == "hit");
    REQUIRE(second.get(analytics(3)).status == 200);
    school.sql("UPDATE submissions SET score = 100 WHERE submission_id = 11");
    CHECK(eventually([&] { return second.get(analytics(1)).body.find(R"("mean":90.0)") != std::string::npos; }));
    CHECK(second.get(analytics(3)).header("X-Cache") == "hit");
}

TEST_CASE("without a key file only loopback is served, and everybody is let in", "[serve]") {
    const School school;
    std::vector<std::string> everywhere = Service::arguments(school, no_more, "everywhere");
    everywhere[8] = "0.0.0.0:0";
    CHECK(exit_code(school, "everywhere", everywhere) == 2);
    const Service service(school);
    CHECK(service.log().find("everybody on this host is let in") != std::string::npos);
    CHECK(service.get(analytics(3)).status == 200);
}

TEST_CASE("what cannot be served is said at once", "[serve]") {
    const School school;
    const auto with = [&](std::size_t index, const std::string& value) {
        std::vector<std::string> arguments = Service::arguments(school, no_more, "wrong");
        arguments[index] = value;
        return exit_code(school, "wrong", arguments);
    };
    CHECK(with(2, school.file("absent.db")) == 3);
    CHECK(with(8, "nonsense") == 2);
    CHECK(with(6, "nonsense") == 2);
    ::chmod(school.file("key").c_str(), 0644);
    CHECK(exit_code(school, "wrong", Service::arguments(school, with_key(school), "wrong")) == 3);
    CHECK(exit_code(school, "wrong", Service::arguments(school, {"--workers", "0"}, "wrong")) == 2);
}

TEST_CASE("workers start whatever stands at the end of the command line", "[serve]") {
    const School school;
    const Service service(school, {"--"});
    CHECK(service.get(analytics(1)).status == 200);
}

TEST_CASE("a port file that cannot be written is said before anything is started", "[serve]") {
    const School school;
    const auto with = [&](const std::string& path) {
        std::vector<std::string> arguments = Service::arguments(school, no_more, "wrong");
        arguments[10] = path;
        return exit_code(school, "wrong", arguments);
    };
    CHECK(with(school.file("absent/port")) == 3);
    CHECK(with(school.file("cache")) == 3);
    CHECK(with("/dev/null") == 3);
    CHECK(std::filesystem::exists("/dev/null"));
    CHECK(text_of(school.file("wrong.log")).find("listening on http") == std::string::npos);
    CHECK(std::filesystem::is_empty(school.file("cache")));
}

TEST_CASE("a port file that cannot be written later ends the service as any other end", "[serve]") {
    const School school;
    const std::string path = school.file("late.port");
    std::ofstream(path) << "an older service's";  // gone once the place was found fit
    ChildProcess child = start_larder(school, "late", Service::arguments(school, no_more, "late"));
    REQUIRE(eventually([&] { return !std::filesystem::exists(path) || text_of(path).find('a') == std::string::npos; }));
    if (::mkdir(path.c_str(), 0700) != 0) {
        WARN("skipped: the service was faster");
        return;
    }
    CHECK(child.wait().exited_with(3));
    const std::string log = text_of(school.file("late.log"));
    CHECK(log.find("listening on http") == std::string::npos);
    CHECK(log.find("Ending: requests that have begun are finished") != std::string::npos);
    CHECK(log.find("the port cannot be written to " + path) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("a usage error of serve names its help", "[serve]") {
    const School school;
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{"--workers", "0"}, std::vector<std::string>{"--listen", "0.0.0.0:0"}}) {
        const std::string name = "usage" + more.back().substr(0, 1) + more.front().substr(2);
        CHECK(exit_code(school, name, {"serve", "--db", school.file("school.db"), more[0], more[1]}) == 2);
        CHECK(text_of(school.file(name + ".log")).find("; see `larder serve --help`\n") != std::string::npos);
    }
}

TEST_CASE("tutors and teachers see their own assignments, an admin all, a student none", "[serve]") {
    const School school;
    const Service service(school, with_key(school));
    for (const std::string& target : {analytics(1), hit_rate(1)}) {
        CHECK(service.get(target).status == 401);
        CHECK(service.get(target, "Authorization: Bearer x.y.z\r\n").status == 401);
        CHECK(service.get(target, bearer(Role::student, 7)).status == 403);
        CHECK(service.get(target, bearer(Role::teacher, 8)).status == 403);
        CHECK(service.get(target, bearer(Role::tutor, 8)).status == 403);
        CHECK(service.get(target, bearer(Role::tutor, 7)).status == 200);
        CHECK(service.get(target, bearer(Role::teacher, 7)).status == 200);
        CHECK(service.get(target, bearer(Role::admin, 999)).status == 200);
    }
    CHECK(service.get("/healthz").status == 200);
}

TEST_CASE("refused requests count nothing, and an unknown assignment leaves nothing", "[serve]") {
    const School school;
    const Service service(school, with_key(school));
    service.get(analytics(1));
    service.get(analytics(1), bearer(Role::student, 7));
    service.get(analytics(1), bearer(Role::teacher, 8));
    service.get(analytics(77), bearer(Role::admin, 1));
    CHECK(service.get(analytics(77), bearer(Role::admin, 1)).status == 404);
    CHECK(service.get(hit_rate(77), bearer(Role::admin, 1)).status == 404);
    const Cache cache = school.cache();
    CHECK(cache.key_use(stats_key(1)).misses == 0);
    CHECK_FALSE(cache.contains(stats_key(1)));
    CHECK(cache.peek(stats_key(77)).state() == State::none);
    CHECK_FALSE(cache.key_use(stats_key(77)).tracked);
    REQUIRE(service.get(analytics(1), bearer(Role::teacher, 7)).status == 200);
    CHECK(cache.key_use(stats_key(1)).misses == 1);
    service.get(analytics(1), bearer(Role::teacher, 8));
    service.get(analytics(1));
    CHECK(cache.key_use(stats_key(1)).hits == 0);
}

TEST_CASE("a token of `larder token` is let in", "[serve]") {
    const School school;
    const Service service(school, with_key(school));
    REQUIRE(exit_code(school, "token",
                      {"token", "--user", "7", "--role", "teacher", "--auth-key-file", school.file("key")}) == 0);
    std::string token = text_of(school.file("token.log"));
    token.pop_back();
    CHECK(service.get(analytics(1), "Authorization: Bearer " + token + "\r\n").status == 200);
    CHECK(service.log().find(token) == std::string::npos);
    for (const char* role : {"root", ""})
        CHECK(exit_code(school, "no",
                        {"token", "--user", "7", "--role", role, "--auth-key-file", school.file("key")}) == 2);
    CHECK(exit_code(school, "no",
                    {"token", "--user", "7", "--role", "tutor", "--expires", "0", "--auth-key-file",
                     school.file("key")}) == 2);
    CHECK(exit_code(school, "no",
                    {"token", "--user", "7", "--role", "tutor", "--auth-key-file", school.file("absent")}) == 3);
}

TEST_CASE("a hit asks the database nothing", "[serve]") {
    School school;
    const Service service(school);
    REQUIRE(service.get(analytics(1)).status == 200);
    const std::string moved = school.file("moved.db");
    REQUIRE(std::rename(school.file("school.db").c_str(), moved.c_str()) == 0);
    // The worker that did not compute has no connection yet, and cannot make one.
    std::set<std::string> workers;
    CHECK(eventually([&] {
        const HttpAnswer answer = service.get(analytics(1));
        REQUIRE(answer.header("X-Cache") == "hit");
        workers.insert(answer.header("X-Worker"));
        return workers.size() == 2;
    }));
}
