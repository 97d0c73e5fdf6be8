// Services whose n-th call of a name fails: they serve all the same, or end and say why; they never hang.
#include <fcntl.h>

#include <fstream>
#include <sstream>

#include "core/schema.hpp"
#include "tests/core/school.hpp"
#include "tests/failing_calls/failing_run.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/socket_client.hpp"

using namespace larder;
using namespace larder::test;

namespace {

const std::vector<FailingCall> calls = {
    {"socket", {EMFILE, EACCES}},      {"bind", {EADDRINUSE, EACCES, ENOSPC}},
    {"listen", {EADDRINUSE, ENOBUFS}}, {"accept", {EMFILE, ENFILE, ECONNABORTED}},
    {"recv", {ECONNRESET, ENOMEM}},    {"send", {EPIPE, ENOBUFS}},
    {"epoll_create", {EMFILE}},        {"epoll_ctl", {ENOMEM, ENOSPC}},
    {"epoll_wait", {EINTR}},           {"eventfd", {EMFILE}},
    {"timerfd_create", {EMFILE}},      {"pthread_create", {EAGAIN}},
    {"fcntl", {ENOLCK, EIO}},          {"mmap", {ENOMEM}},
    {"open", {EMFILE, EACCES}},        {"linkat", {EACCES}},
    {"posix_fallocate", {ENOSPC}},     {"write", {EPIPE}},
};

/// One that has ended is left for finish() to reap.
bool has_ended(const LarderCommand& command) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(command.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == command.pid();
}

/// It is asked until it serves, has ended by itself, or both did not come true within the time of a hang.
template <class Asking>
bool serves(const LarderCommand& service, Asking&& asking) {
    bool answered = false;
    eventually([&] { return has_ended(service) || (answered = asking()); }, kHang);
    return answered;
}

/// What every service must do, whatever fails. A failure that stays may keep it from serving.
void check_service(const FailingScene& scene, LarderCommand& service, const Failure& failure, bool served) {
    const bool ended = has_ended(service);
    if (!failure.sticky) CHECK((served || ended));
    service.signal(SIGTERM);
    // Where no lock can be had SQLite tries for ten seconds, twice.
    const CommandResult result = service.finish({}, failure.sticky ? 3 * kHang : kHang);
    INFO((served ? "served" : "not served") << (ended ? ", ended by itself" : ""));
    // One that still waits for the database has nothing to tidy up, and catches no signal yet.
    if (failure.sticky && !served && !ended && result.signal == SIGTERM) return;
    scene.check_ending(result);
    if (ended) CHECK(result.code == 3);
    if (!scene.has_failed()) CHECK((served && result.code == 0));
}

/// Says whether it came to the failure.
bool listen_with(const Failure& failure) {
    const FailingScene scene;
    INFO("listen: " << failure.text());
    LarderCommand listener(scene.path(), {"listen", "--size", "16MiB"}, failure.environment(scene.mark()));
    const bool served = serves(listener, [&] {
        return SocketClient(scene.path() + "/default.sock").ask("invalidate key").rfind("ok", 0) == 0;
    });
    check_service(scene, listener, failure, served);
    scene.check_cache();
    scene.check_doctor();
    return scene.has_failed();
}

void listen(const Extent& extent) {
    std::set<std::string> failed;
    loop(calls, extent, failed, listen_with);
    check_all_failed(calls, failed);
}

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

struct ServedSchool {
    ServedSchool() {
        school.add_assignment(1);
        school.add_score(11, 1, "70");
    }
    School school;
};

/// Says whether it came to the failure.
bool serve_with(const ServedSchool& served_school, const Failure& failure) {
    const FailingScene scene;
    const std::string port_file = scene.file("port");
    INFO("serve: " << failure.text());
    LarderCommand service(scene.path(),
                          {"serve", "--db", served_school.school.path(), "--size", "16MiB", "--listen", "127.0.0.1:0",
                           "--port-file", port_file, "--workers", "1"},
                          failure.environment(scene.mark()));
    const bool served = serves(service, [&] {
        const std::string port = text_of(port_file);
        if (port.empty()) return false;
        return http_get(static_cast<std::uint16_t>(std::stoi(port)), "/api/assignments/1/analytics/").status == 200;
    });
    check_service(scene, service, failure, served);
    scene.check_cache();
    scene.check_doctor();
    return scene.has_failed();
}

void serve(const Extent& extent) {
    const ServedSchool school;
    std::vector<FailingCall> its_calls = calls;
    its_calls.push_back({"posix_spawn", {EAGAIN}});
    std::set<std::string> failed;
    loop(its_calls, extent, failed, [&](const Failure& failure) { return serve_with(school, failure); });
    check_all_failed(its_calls, failed);
}

constexpr Extent kEach{true, true, 200, true}, kSome{false, false, 2};

}  // namespace

TEST_CASE("a listener whose call fails goes on, or ends and says why") { listen(kSome); }
TEST_CASE("a listener that the kernel wakes for nothing ends when it is told to") {
    CHECK(listen_with({"epoll_ctl", ENOSPC, 1, true}));
}
TEST_CASE("a server whose call fails goes on, or ends and says why") { serve(kSome); }
TEST_CASE("a worker that is given too few threads makes room for another") {
    CHECK(serve_with(ServedSchool(), {"pthread_create", EAGAIN, 5, false}));
}
TEST_CASE("a listener whose call fails, all errors, once and from then on", "[.all]") { listen(kEach); }
TEST_CASE("a server whose call fails, all errors, once and from then on", "[.all]") { serve(kEach); }
