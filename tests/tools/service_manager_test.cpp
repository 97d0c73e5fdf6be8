// What `larder serve` tells the service manager that started it, and takes from it.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "core/schema.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/service_manager.hpp"

using namespace larder;
using namespace std::chrono_literals;
using test::ChildProcess;
using test::eventually;
using test::http_get;
using test::HttpClient;
using tools::ServiceManager;

namespace {

/// Where sd_notify(3) sends its messages.
class NotifySocket {
public:
    explicit NotifySocket(const std::string& path) : path_(path) {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    ~NotifySocket() { ::close(fd_); }
    NotifySocket(const NotifySocket&) = delete;

    const std::string& path() const { return path_; }

    /// The next message; empty: none came.
    std::string next(std::chrono::milliseconds patience = 20s) const {
        pollfd ready{fd_, POLLIN, 0};
        char buffer[4096];
        if (::poll(&ready, 1, static_cast<int>(patience.count())) != 1) return {};
        const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
        return count < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(count));
    }
    std::string waiting() const { return next(0ms); }
    /// All messages up to the first that has `text`, which is the last one; empty where it did not come.
    std::vector<std::string> up_to(const std::string& text) const {
        std::vector<std::string> messages;
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (std::chrono::steady_clock::now() < deadline) {
            messages.push_back(next());
            if (messages.back().empty()) return {};
            if (messages.back().find(text) != std::string::npos) return messages;
        }
        return {};
    }

private:
    std::string path_;
    int fd_ = -1;
};

/// The variables of this process, until the end of the scope.
struct ScopedVariable {
    std::string name;
    ScopedVariable(const std::string& variable, const std::string& value) : name(variable) {
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    ~ScopedVariable() { ::unsetenv(name.c_str()); }
    ScopedVariable(const ScopedVariable&) = delete;
};

bool has(const std::string& message, const std::string& line) {
    return ("\n" + message).find("\n" + line + "\n") != std::string::npos;
}

/// A database with one assignment, and a place for its cache.
struct Place {
    test::ScopedDirectory directory;
    Place() {
        SQLite::Database database(directory.file("school.db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        create_schema(database);
        database.exec(
            "INSERT INTO assignments(assignment_id, title, author_id, max_score) VALUES (1, 'Essay', 7, 100)");
    }
    std::string log() const {
        std::ifstream file(directory.file("log"), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    std::size_t deaths() const {
        std::size_t count = 0;
        const std::string text = log();
        for (std::size_t at = 0; (at = text.find(" it is replaced", at)) != std::string::npos; ++at) ++count;
        return count;
    }
};

/// `larder serve`, with these variables and sockets passed as a service manager does; its output in the place's `log`.
ChildProcess start_service(const Place& place, const std::vector<std::pair<std::string, std::string>>& variables,
                           const std::vector<int>& sockets = {}) {
    return ChildProcess::start([&](test::Channel&) {
        const int log = ::open(place.directory.file("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log, STDERR_FILENO);
        std::vector<int> high;  // out of the way of their places
        for (const int socket : sockets) high.push_back(::fcntl(socket, F_DUPFD_CLOEXEC, 100));
        for (std::size_t i = 0; i < high.size(); ++i) ::dup2(high[i], static_cast<int>(3 + i));
        if (!sockets.empty()) {
            ::setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
            ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        }
        for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
        const std::string database = place.directory.file("school.db"), cache = place.directory.file("cache");
        ::execl(LARDER_BINARY, LARDER_BINARY, "serve", "--db", database.c_str(), "--directory", cache.c_str(), "--size",
                "16MiB", "--listen", "127.0.0.1:0", nullptr);
        return 72;
    });
}

void signal_workers(pid_t service, int signal) {
    const std::string process = std::to_string(service);
    std::ifstream children("/proc/" + process + "/task/" + process + "/children");
    for (pid_t child = 0; children >> child;) ::kill(child, signal);
}

/// A socket as a socket unit makes it.
struct UnitSocket {
    int fd;
    explicit UnitSocket(const std::string& address, int type = SOCK_STREAM) {
        const auto parsed = tools::ListenAddress::parse(address);
        fd = ::socket(parsed.raw()->sa_family, type | SOCK_CLOEXEC, 0);
        REQUIRE(::bind(fd, parsed.raw(), parsed.raw_size()) == 0);
        if (type == SOCK_STREAM) REQUIRE(::listen(fd, 128) == 0);
    }
    ~UnitSocket() { ::close(fd); }
    UnitSocket(const UnitSocket&) = delete;
    std::uint16_t port() const { return tools::ListenAddress::of_socket(fd).port(); }
};

}  // namespace

TEST_CASE("a service is ready once, when a worker listens and the relay has caught up", "[service manager]") {
    const test::ScopedDirectory directory;
    const NotifySocket notify(directory.file("notify"));
    const ScopedVariable variable("NOTIFY_SOCKET", notify.path());
    ServiceManager manager;
    const ServiceManager::Clock::time_point now{1h};
    manager.tell({2, 0, true, true}, now);
    CHECK(notify.waiting() == "STATUS=0 of 2 workers listen\n");
    manager.tell({2, 1, false}, now);
    CHECK(notify.waiting() == "STATUS=1 of 2 workers listen; changes in the database are not relayed yet\n");
    manager.tell({2, 1, true, true}, now);
    CHECK(notify.waiting() == "READY=1\nSTATUS=1 of 2 workers listen\n");
    manager.tell({2, 2, true, true}, now);
    CHECK(notify.waiting() == "STATUS=2 of 2 workers listen\n");
    manager.tell({2, 2, true, true}, now + 1h);
    CHECK(notify.waiting().empty());
}

TEST_CASE("the watchdog is kept content at half its interval, and only while a worker listens", "[service manager]") {
    const test::ScopedDirectory directory;
    const NotifySocket notify(directory.file("notify"));
    const ScopedVariable variable("NOTIFY_SOCKET", notify.path()), interval("WATCHDOG_USEC", "1000000");
    ServiceManager manager;
    const ServiceManager::Clock::time_point now{1h};
    const auto beats = [&](std::size_t listening, std::chrono::milliseconds later) {
        manager.tell({2, listening, true}, now + later);
        return has(notify.waiting(), "WATCHDOG=1");
    };
    CHECK_FALSE(beats(0, 0ms));
    CHECK(beats(1, 0ms));
    CHECK_FALSE(beats(1, 499ms));
    CHECK(beats(1, 500ms));
    CHECK_FALSE(beats(0, 10s));
    CHECK_FALSE(beats(0, 20s));
    CHECK(beats(2, 20s));
    CHECK_FALSE(beats(2, 20s));
}

TEST_CASE("a reload is told with its time, and the end of it", "[service manager]") {
    const test::ScopedDirectory directory;
    const NotifySocket notify(directory.file("notify"));
    const ScopedVariable variable("NOTIFY_SOCKET", notify.path());
    const auto before = ServiceManager::Clock::now().time_since_epoch() / 1us;
    tools::notify_reloading();
    const std::string message = notify.waiting();
    REQUIRE(message.rfind("RELOADING=1\nMONOTONIC_USEC=", 0) == 0);
    const long long told = std::stoll(message.substr(message.rfind('=') + 1));
    CHECK(told >= before);
    CHECK(told <= ServiceManager::Clock::now().time_since_epoch() / 1us);
    tools::notify_reloaded();
    CHECK(notify.waiting() == "READY=1\n");
    tools::notify_stopping();
    CHECK(has(notify.waiting(), "STOPPING=1"));
}

TEST_CASE("nothing is told where no service manager is", "[service manager]") {
    ServiceManager manager;
    manager.tell({2, 2, true, true}, ServiceManager::Clock::now());
    tools::notify_stopping();
    CHECK_FALSE(tools::take_passed_listener().is_open());
}

TEST_CASE("serve tells that it is ready, that it lives, and that it ends", "[service manager][serve]") {
    const Place place;
    const NotifySocket notify(place.directory.file("notify"));
    ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}, {"WATCHDOG_USEC", "20000"}});
    INFO(place.log());
    REQUIRE(!notify.up_to("READY=1\n").empty());
    REQUIRE(!notify.up_to("WATCHDOG=1\n").empty());
    REQUIRE(!notify.up_to("WATCHDOG=1\n").empty());
    service.kill(SIGTERM);
    CHECK(!notify.up_to("STOPPING=1\n").empty());
    CHECK(service.wait().exited_with(0));
    CHECK(notify.waiting().empty());
}

TEST_CASE("the watchdog is let down when no worker can listen any more", "[service manager][serve]") {
    const Place place;
    const NotifySocket notify(place.directory.file("notify"));
    ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}, {"WATCHDOG_USEC", "20000"}});
    INFO(place.log());
    REQUIRE(!notify.up_to("2 of 2 workers listen").empty());
    // A worker that starts now finds no directory for the cache.
    const std::string cache = place.directory.file("cache");
    std::filesystem::rename(cache, place.directory.file("moved"));
    std::ofstream(cache) << "in the way";
    signal_workers(service.pid(), SIGKILL);
    REQUIRE(!notify.up_to("STATUS=0 of 2 workers listen").empty());
    REQUIRE(eventually([&] { return place.deaths() >= 6; }));  // the loop goes on
    service.kill(SIGTERM);
    const auto rest = notify.up_to("STOPPING=1\n");
    REQUIRE(!rest.empty());
    for (const std::string& message : rest) CHECK_FALSE(has(message, "WATCHDOG=1"));
}

TEST_CASE("the watchdog is let down when all workers are stuck, until one goes on", "[service manager][serve]") {
    const Place place;
    const NotifySocket notify(place.directory.file("notify"));
    ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}, {"WATCHDOG_USEC", "20000"}});
    INFO(place.log());
    REQUIRE(!notify.up_to("2 of 2 workers listen").empty());
    signal_workers(service.pid(), SIGSTOP);
    REQUIRE(!notify.up_to("STATUS=0 of 2 workers listen").empty());
    signal_workers(service.pid(), SIGCONT);
    const auto meanwhile = notify.up_to(" of 2 workers listen");
    REQUIRE(!meanwhile.empty());
    for (std::size_t i = 0; i + 1 < meanwhile.size(); ++i) CHECK_FALSE(has(meanwhile[i], "WATCHDOG=1"));
    CHECK(!notify.up_to("WATCHDOG=1\n").empty());
}

TEST_CASE("all workers serve from the passed socket", "[service manager][serve]") {
    const Place place;
    const UnitSocket socket("127.0.0.1:0");
    const NotifySocket notify(place.directory.file("notify"));
    ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}}, {socket.fd});
    INFO(place.log());
    REQUIRE(!notify.up_to("2 of 2 workers listen").empty());
    std::set<std::string> workers;
    CHECK(eventually([&] {
        workers.insert(http_get(socket.port(), "/healthz").header("X-Worker"));
        return workers.size() == 2;
    }));
    CHECK(workers.count("") == 0);
    CHECK(place.log().find("listening on http://127.0.0.1:" + std::to_string(socket.port())) != std::string::npos);
}

TEST_CASE("who connects to the passed socket while the service is away is answered when it is back",
          "[service manager][serve]") {
    const Place place;
    const UnitSocket socket("127.0.0.1:0");
    {
        const NotifySocket notify(place.directory.file("first"));
        ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}}, {socket.fd});
        REQUIRE(!notify.up_to("READY=1\n").empty());
        service.kill(SIGTERM);
        REQUIRE(service.wait().exited_with(0));
    }
    HttpClient client(socket.port());
    REQUIRE(client.connected());
    REQUIRE(client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    const NotifySocket notify(place.directory.file("second"));
    ChildProcess service = start_service(place, {{"NOTIFY_SOCKET", notify.path()}}, {socket.fd});
    INFO(place.log());
    REQUIRE(!notify.up_to("READY=1\n").empty());
    CHECK(client.receive().status != 0);
}

TEST_CASE("a passed socket that cannot be served from is refused with the line to write", "[service manager][serve]") {
    const Place place;
    const UnitSocket tcp("127.0.0.1:0"), other("127.0.0.1:0"), udp("127.0.0.1:0", SOCK_DGRAM), open_to_all("0.0.0.0:0");
    CHECK(start_service(place, {}, {tcp.fd, other.fd}).wait().exited_with(3));
    CHECK_THAT(place.log(), Catch::Contains("write one ListenStream="));
    CHECK(start_service(place, {}, {udp.fd}).wait().exited_with(3));
    CHECK_THAT(place.log(), Catch::Contains("no listening TCP socket"));
    CHECK(start_service(place, {}, {open_to_all.fd}).wait().exited_with(2));
    CHECK_THAT(place.log(), Catch::Contains("only loopback is served"));
}
