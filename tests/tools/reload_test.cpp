// SIGHUP to `larder serve`: what it takes from its files, what it leaves, and that nobody notices the change of
// workers.
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <array>
#include <atomic>
#include <thread>

#include "core/cache_keys.hpp"
#include "core/warm_queue.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/tools/serve_scene.hpp"
#include "tools/handover.hpp"
#include "tools/open_database.hpp"
#include "tools/reload.hpp"
#include "tools/terminal_watch.hpp"

using namespace larder;
using namespace larder::test;
using namespace std::chrono_literals;

namespace {

/// A service with a configuration file, a key file's path in it where the test wants one.
class Reloading {
public:
    explicit Reloading(const std::string& text, const std::vector<std::string>& more = {})
        : service_((write(text), school_), with_config(more)) {}

    void write(const std::string& text) const { std::ofstream(school_.file("larder.toml"), std::ios::trunc) << text; }
    /// Sends SIGHUP; true: the log then said so.
    bool reload(const std::string& said) {
        const std::size_t before = service_.log().size();
        service_.child().kill(SIGHUP);
        return eventually([&] { return service_.log().find(said, before) != std::string::npos; });
    }
    bool reload() { return reload("Reloaded: all workers are new"); }
    /// A successor and a predecessor that ends are no more.
    bool has_workers(std::size_t count) const {
        return eventually([&] { return service_.workers().size() == count; });
    }
    const ServedSchool& school() const { return school_; }
    Service& service() { return service_; }
    /// As every worker says, one after the other.
    std::set<std::string> ttls() const {
        std::set<std::string> seen;
        for (int i = 0; i < 20; ++i) {
            const std::string body = service_.get(hit_rate(1)).body;
            seen.insert(body.substr(body.find("\"ttl_seconds\"")));
        }
        return seen;
    }

private:
    std::vector<std::string> with_config(std::vector<std::string> more) const {
        more.insert(more.end(), {"--config", school_.file("larder.toml")});
        return more;
    }
    ServedSchool school_;
    Service service_;
};

std::set<std::string> ttl(int seconds) { return {"\"ttl_seconds\":" + std::to_string(seconds) + "}"}; }

/// Asks without a pause until it is stopped; each connection for as long as the service keeps it, or for one request.
class Asking {
public:
    Asking(std::uint16_t port, const std::string& target, bool keeps_connections)
        : thread_([this, port, target, keeps_connections] {
              while (!stop_) {
                  HttpClient client(port);
                  bool is_kept = client.connected();
                  if (!is_kept) ++lost;
                  while (is_kept && !stop_) {
                      const HttpAnswer answer = client.get(target);
                      ++(answer.status == 200 ? answered : lost);
                      is_kept = keeps_connections && answer.header("Connection") != "close" && answer.status == 200;
                  }
              }
          }) {}
    ~Asking() { stop(); }
    void stop() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    std::atomic<int> answered{0}, lost{0};

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

/// A terminal of our own: what is started on it has it as its controlling terminal.
class Terminal {
public:
    Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        REQUIRE(::grantpt(master_) == 0);
        REQUIRE(::unlockpt(master_) == 0);
        name_ = ::ptsname(master_);
    }
    ~Terminal() { close(); }
    void close() { ::close(std::exchange(master_, -1)); }
    /// In the child: leads a session on it.
    void enter() const {
        ::setsid();
        const int terminal = ::open(name_.c_str(), O_RDWR);
        ::ioctl(terminal, TIOCSCTTY, 0);
        ::dup2(terminal, STDIN_FILENO);
    }

private:
    int master_;
    std::string name_;
};

}  // namespace

TEST_CASE("a reload replaces all workers, loses no request, and /healthz stays 200", "[serve][reload]") {
    Reloading scene("[behaviour]\nttl = 300\n");
    const std::uint16_t port = scene.service().port();
    const std::set<pid_t> before = scene.service().workers();
    CHECK(scene.ttls() == ttl(300));
    Asking kept(port, analytics(1), true), single(port, analytics(2), false), health(port, "/healthz", true),
        single_health(port, "/healthz", false);
    for (int round = 1; round <= 5; ++round) {
        scene.write("[behaviour]\nttl = " + std::to_string(round) + "\n");
        REQUIRE(scene.reload());
    }
    REQUIRE(scene.has_workers(2));
    for (Asking* const client : {&kept, &single, &health, &single_health}) {
        client->stop();
        CHECK(client->answered > 100);
        CHECK(client->lost == 0);
    }
    CHECK(scene.ttls() == ttl(5));
    for (const pid_t pid : scene.service().workers()) CHECK(before.count(pid) == 0);
    CHECK_THAT(scene.service().log(), Catch::Contains("Reloading, worker by worker: ttl = 5 (was 4)"));
}

TEST_CASE("a connection that is idle during a reload is answered once more", "[serve][reload]") {
    Reloading scene("");
    HttpClient client(scene.service().port());
    const std::string worker = client.get(analytics(1)).header("X-Worker");
    scene.write("[behaviour]\nttl = 7\n");
    REQUIRE(scene.reload());
    const HttpAnswer last = client.get("/healthz");
    CHECK(last.status == 200);
    CHECK(last.header("X-Worker") == worker);
    CHECK(last.header("Connection") == "close");
    CHECK(client.is_ended());
    REQUIRE(scene.has_workers(2));
}

TEST_CASE("workers become more and fewer without a lost request", "[serve][reload]") {
    Reloading scene("[serve]\nworkers = 2\n");
    Asking kept(scene.service().port(), analytics(1), true), single(scene.service().port(), analytics(2), false);
    for (const std::size_t count : {4U, 3U, 2U, 1U, 2U}) {
        scene.write("[serve]\nworkers = " + std::to_string(count) + "\n");
        REQUIRE(scene.reload());
        REQUIRE(scene.has_workers(count));
    }
    for (Asking* const client : {&kept, &single}) {
        client->stop();
        CHECK(client->answered > 20);
        CHECK(client->lost == 0);
    }
}

TEST_CASE("a broken file or key file leaves everything as it is, and the log says why", "[serve][reload]") {
    Reloading scene("[behaviour]\nttl = 300\n");
    const std::set<pid_t> before = scene.service().workers();
    const auto refused = [&scene](const std::string& text, const std::string& why) {
        scene.write(text);
        INFO(text);
        CHECK(scene.reload("Not reloaded, everything stays as it was: " + why));
    };
    const std::string file = scene.school().file("larder.toml");
    refused("[behaviour\n", file + ":1: this is no TOML");
    refused("[behaviour]\nttl = 9\ntll = 9\n", file + ":3: unknown key `tll`");
    refused("[behaviour]\nttl = \"soon\"\n", file + ":2: ttl: `soon`");
    refused("[behaviour]\nttl = 1.5\n", file + ":2: ttl: a value of this kind");
    refused("[serve]\nworkers = 0\n", file + ":2: workers: `0`");
    refused("[serve]\nauth-key-file = \"/absent\"\n", "key file /absent: ");
    scene.write("[behaviour]\nttl = 300\n[serve]\nwarm-daily = \"\"\n");  // nothing is said
    CHECK(scene.reload("Reloaded: nothing has changed"));
    ::unlink(file.c_str());
    CHECK(scene.reload("Not reloaded, everything stays as it was: configuration file " + file + ": there is none"));
    CHECK(scene.service().workers() == before);
    CHECK(scene.ttls() == ttl(300));
    scene.write("[behaviour]\nttl = 9\n");
    CHECK(scene.reload());
    CHECK(scene.ttls() == ttl(9));
}

TEST_CASE("what needs a restart is named and stays as it was, what flags say is not changed", "[serve][reload]") {
    Reloading scene("[new-cache]\nshards = 1\n[behaviour]\nnegative-ttl = 30\n", {"--ttl", "77s"});
    scene.write(
        "[new-cache]\nshards = 2\nsize = \"1GiB\"\n[behaviour]\nttl = 5\n[serve]\ndb = \"/absent\"\n"
        "nats = \"nats://u:secret@n1,nats://u:secret@n2\"\n");
    REQUIRE(scene.reload());
    const std::string log = scene.service().log();
    CHECK_THAT(log, Catch::Contains("Needs a restart, and stays as it was: shards = 2 (was 1)"));
    CHECK_THAT(log, Catch::Contains("worker by worker: negative-ttl = 30s (was 30)"));
    CHECK_THAT(log, Catch::Contains("shards = 2 (was 1), and `larder rm` before it"));
    CHECK(log.find("1GiB") == std::string::npos);  // hidden by --size
    CHECK(log.find("/absent") == std::string::npos);
    CHECK_THAT(log, Catch::Contains("nats = nats://n1,nats://n2 (was none"));
    CHECK(scene.ttls() == ttl(77));
    const std::size_t before = log.size();
    CHECK(scene.reload("Reloaded: nothing has changed"));  // and it still does not have what needs a restart
    CHECK(scene.service().log().find("Needs a restart, and stays as it was: shards = 2 (was 1)", before) !=
          std::string::npos);
}

TEST_CASE("a URL is shown without what lets one in", "[config]") {
    const auto shown = [](const char* option, const char* text) {
        return tools::without_secrets(tools::option_row(option), text);
    };
    CHECK(shown("nats", "nats://a:p1@n1:4222,nats://TOKEN@n2,n3") == "nats://n1:4222,nats://n2,n3");
    CHECK(shown("nats", "nats://u:p,q@n1,n2:4222") == "...");
    CHECK(shown("nats", "").empty());
    CHECK(shown("relay-db", "postgres://u:p@h/db") == "postgres://u@h/db");
    CHECK(shown("schema", "/srv/u:p@q") == "/srv/u:p@q");
    CHECK(tools::without_password("postgres://u:p127.0.0.1:5432/db?user=x") == "postgres://.../db?user=x");
    CHECK(tools::without_password("postgres://h:5432,[::1]:5433/db") == "postgres://h:5432,[::1]:5433/db");
    CHECK(tools::without_password("postgres:///db?host=/run/postgresql") == "postgres:///db?host=/run/postgresql");
    CHECK(tools::without_password("postgres://u:p@h,i/db?password=x&user=y") == "postgres://u@h,i/db?...&user=y");
    CHECK(tools::without_password("postgres://u:p/q@h/db") == "postgres://u@h/db");
    CHECK(tools::without_password("postgres://u:p@q@h/db") == "postgres://u@h/db");
    CHECK(tools::without_password("postgres://u:p?q@h/db") == "postgres://...");
    CHECK(tools::without_password("postgres://h/db?password=p@ss") == "postgres://...");
    CHECK(tools::without_password("postgres://h/db?pass%77ord=x") == "postgres://h/db?...");
    CHECK(tools::without_password("/srv/a@b.db") == "/srv/a@b.db");
    CHECK(tools::without_password("web:secret@h/school") == "...");
}

TEST_CASE("what the supervisor warms lives as long as a reload says", "[serve][reload]") {
    Reloading scene("[behaviour]\nttl = 300\n");
    WarmQueue jobs(scene.school().file("school.db"), scene.school().cache().segment_path());
    const auto warmed_ttl = [&](AssignmentId id) {
        jobs.push(std::array{id}, 1);
        REQUIRE(eventually([&] { return scene.school().cache().contains(stats_key(id)); }));
        const CommandResult line = run_larder(scene.school().file("cache"), {"get", stats_key(id), "--meta", "--json"});
        return line.json().at("ttl_ms").to_number<std::int64_t>();
    };
    CHECK(warmed_ttl(1) > 9'000);
    scene.write("[behaviour]\nttl = 9\n");
    REQUIRE(scene.reload());
    CHECK(warmed_ttl(2) <= 9'000);
}

TEST_CASE("a cache that is there and is not as asked for is told of at the start", "[serve]") {
    const ServedSchool school;
    { const Service first(school); }
    const Service second(school, {"--max-entries", "5"}, "second");
    CHECK_THAT(second.log(), Catch::Contains("is there and keeps --max-entries") && Catch::Contains("`larder rm`"));
    const Service third(school, {}, "third");
    CHECK(third.log().find("is there and keeps") == std::string::npos);
}

TEST_CASE("a worker that is replaced because it died knows what the others know", "[serve][reload]") {
    Reloading scene("[behaviour]\nttl = 250\n");
    const std::set<pid_t> before = scene.service().workers();
    scene.write("no TOML");
    for (const pid_t pid : before) ::kill(pid, SIGKILL);
    CHECK(eventually([&] {
        const std::set<pid_t> now = scene.service().workers();
        return now.size() == 2 && before.count(*now.begin()) == 0 && before.count(*now.rbegin()) == 0;
    }));
    CHECK(scene.ttls() == ttl(250));
}

TEST_CASE("new keys are taken at SIGHUP, with a configuration file and without", "[serve][reload]") {
    const ServedSchool school;
    Service service(school, with_key(school));
    const std::string token = bearer(Role::admin, 1);
    REQUIRE(service.get(analytics(1), token).status == 200);
    std::ofstream(school.file("key"), std::ios::trunc) << std::string(40, 'x') << '\n';
    CHECK(service.get(analytics(1), token).status == 200);
    service.child().kill(SIGHUP);
    CHECK(eventually([&] { return service.log().find("Reloaded: all workers are new") != std::string::npos; }));
    for (int i = 0; i < 10; ++i) CHECK(service.get(analytics(1), token).status == 401);
    CHECK_THAT(service.log(), Catch::Contains("worker by worker: the keys in the key file"));
}

TEST_CASE("the log level is taken by the supervisor, too", "[serve][reload]") {
    Reloading scene("[log]\nlog-level = \"info\"\n");
    scene.write("[log]\nlog-level = \"error\"\n");
    scene.service().child().kill(SIGHUP);
    CHECK(eventually([&] { return scene.service().log().find("log-level = error (was info)") != std::string::npos; }));
    REQUIRE(scene.has_workers(2));
    scene.write("no TOML");
    CHECK(scene.reload("Not reloaded, everything stays"));
    CHECK(scene.service().log().find("Reloaded: ") == std::string::npos);  // at `info`
}

TEST_CASE("where the new workers cannot start, the old ones stay with what they had", "[serve][reload]") {
    Reloading scene("[behaviour]\nttl = 300\n");
    const std::set<pid_t> before = scene.service().workers();
    const std::string cache = scene.school().file("cache"), away = scene.school().file("away");
    REQUIRE(std::rename(cache.c_str(), away.c_str()) == 0);
    std::ofstream(cache) << "no directory";
    scene.write("[behaviour]\nttl = 9\n[serve]\nworkers = 3\n");
    CHECK(scene.reload("Not reloaded: the workers have the settings that they had before"));
    CHECK_THAT(scene.service().log(),
               Catch::Contains("A worker with the new settings does not come to listen: worker "));
    CHECK(scene.service().workers() == before);
    CHECK(scene.service().get("/healthz").status == 200);
    ::unlink(cache.c_str());
    REQUIRE(std::rename(away.c_str(), cache.c_str()) == 0);
    CHECK(scene.reload());
    CHECK(scene.has_workers(3));
}

TEST_CASE("the end of its terminal ends a service, a SIGHUP before does not, nor under nohup", "[serve][reload]") {
    const bool is_nohup = GENERATE(false, true);
    const ServedSchool school;
    Terminal terminal;
    std::vector<std::string> words = Service::arguments(school, no_more, "serve");
    words.insert(words.begin(), LARDER_BINARY);
    ChildProcess child = ChildProcess::start([&](Channel&) {
        terminal.enter();
        if (is_nohup) ::signal(SIGHUP, SIG_IGN);
        const int log = ::open(school.file("log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        ::execv(LARDER_BINARY, argv.data());
        return 72;
    });
    REQUIRE(eventually([&] { return std::filesystem::exists(school.file("serve.port")); }));
    const auto reloads = [&school] {
        const std::string log = text_of(school.file("log"));
        std::size_t count = 0;
        for (std::size_t at = 0; (at = log.find("Reloaded: nothing", at)) != std::string::npos; ++at) ++count;
        return count;
    };
    child.kill(SIGHUP);
    REQUIRE(eventually([&] { return reloads() == 1; }));
    terminal.close();
    if (!is_nohup) {
        CHECK(child.wait().exited_with(0));
        return;
    }
    CHECK(eventually([&] { return reloads() == 2; }));  // the kernel's, which it takes for a wish
    child.kill(SIGHUP);
    CHECK(eventually([&] { return reloads() == 3; }));
    CHECK(is_alive(child.pid()));
}

TEST_CASE("a hangup and the end of the terminal belong together within a moment", "[serve][reload]") {
    using larder::tools::TerminalWatch;
    bool is_there = true;
    TerminalWatch watch([&is_there] { return is_there; });
    TerminalWatch::Clock::time_point now{1h};
    watch.look(now);
    CHECK_FALSE(watch.has_closed(now));
    watch.note_hangup(now);
    CHECK_FALSE(watch.has_closed(now));
    now += 1s;
    is_there = false;  // a shell says it before it ends itself
    CHECK(watch.has_closed(now));

    is_there = true;
    TerminalWatch late([&is_there] { return is_there; });
    late.look(now);
    is_there = false;
    late.look(now += 1s);
    late.note_hangup(now += 5s);  // of somebody who wants a reload, long after
    CHECK_FALSE(late.has_closed(now));

    TerminalWatch without([] { return false; });
    without.note_hangup(now);
    CHECK_FALSE(without.has_closed(now));
}

TEST_CASE("what is handed over arrives as it was, whatever the bytes", "[serve][reload]") {
    using larder::tools::ConfigFile;
    using larder::tools::Handover;
    const auto there_and_back = [](const Handover& handover) {
        const shm::system::Descriptor page = handover.write();
        std::string bytes(4'096, '\0');
        bytes.resize(static_cast<std::size_t>(::pread(page.number(), bytes.data(), bytes.size(), 0)));
        return Handover::parse(bytes);
    };
    const std::string key("3:abc\0\n\xff", 8);
    CHECK(there_and_back({{}, key}).key_file == key);
    CHECK_FALSE(there_and_back({{}, key}).file);
    CHECK(there_and_back({ConfigFile::parse("F", ""), ""}).file);
    const Handover whole =
        there_and_back({ConfigFile::parse("a:b", "[cache]\ncache = \"x\\ny\"\n[behaviour]\nttl = 1.5\n"), key});
    REQUIRE(whole.file->entries().size() == 2);
    CHECK(whole.file->path() == "a:b");
    CHECK(whole.file->find("cache")->text == "x\ny");
    CHECK(whole.file->find("cache")->place() == "a:b:2: cache");
    CHECK_THAT(whole.file->find("ttl")->error, Catch::Contains("of this kind"));
    CHECK(there_and_back({{}, "", "CREATE TEMP VIEW"}).schema == "CREATE TEMP VIEW");
    for (const char* const wrong : {"", "x", "1", "5:abc", "0:", "0:0:3:abc1:"}) CHECK_THROWS(Handover::parse(wrong));
}

TEST_CASE("a file that names no key file any more is refused where others than this host can connect",
          "[serve][reload]") {
    using namespace larder::tools;
    const ScopedDirectory directory;
    std::ofstream(directory.file("larder.toml")) << "[serve]\nworkers = 3\n";
    const SettingsInUse in_use{.given = directory.file("larder.toml"),
                               .file = std::nullopt,
                               .settings = {{&option_row("auth-key-file"), Origin::file, directory.file("key"), {}},
                                            {&option_row("workers"), Origin::fallback, "2", {}}}};
    CHECK_THROWS_WITH(plan_reload(in_use, {}, ListenAddress::parse("0.0.0.0:80")),
                      Catch::Contains("everybody would be let in"));
    const ReloadPlan plan = plan_reload(in_use, {}, ListenAddress::parse("127.0.0.1:80"));
    CHECK(plan.workers == 3);
    CHECK(plan.changed == std::vector<std::string>{"workers = 3 (was 2)"});
}
