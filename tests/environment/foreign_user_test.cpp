// Another user of the host, and what stands in the place of a cache's files.
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "shm/cache.hpp"
#include "tests/environment/stage.hpp"
#include "tests/socket/running_listener.hpp"
#include "tests/support/shm_fixture.hpp"
#include "tests/support/watchdog.hpp"

using namespace larder;
using namespace larder::test;

namespace {

constexpr uid_t kForeigner = 65'534;
const std::string kEndings[] = {".seg", ".lock", ".listen", ".sock"};

struct stat status_of(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) throw Wrong("there is no " + path);
    return status;
}

bool is_same(const struct stat& one, const struct stat& other) {
    return one.st_ino == other.st_ino && one.st_mode == other.st_mode && one.st_uid == other.st_uid &&
           one.st_size == other.st_size && one.st_nlink == other.st_nlink;
}

void become_foreign() {
    require(::setgroups(0, nullptr) == 0 && ::setgid(kForeigner) == 0 && ::setuid(kForeigner) == 0, "no other user");
}

/// Everything that another user may try with one of the files.
void try_all(const std::string& path) {
    const auto refused = [&](int result, const char* what) {
        require(result != 0 && (errno == EACCES || errno == EPERM || errno == EINVAL), what + (" of " + path));
    };
    const auto opened = [&](int flags) { return ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK) < 0 ? -1 : 0; };
    const std::string other = path + ".mine";
    refused(opened(O_RDONLY), "reading");
    refused(opened(O_WRONLY | O_APPEND), "writing");
    refused(opened(O_RDWR | O_TRUNC), "emptying");
    refused(::truncate(path.c_str(), 0), "cutting");
    refused(::chmod(path.c_str(), 0666), "a change of mode");
    refused(::chown(path.c_str(), kForeigner, kForeigner), "taking");
    refused(::unlink(path.c_str()), "removing");
    refused(::rename(path.c_str(), other.c_str()), "moving");
    refused(::link(path.c_str(), other.c_str()), "another name");
    refused(::symlink("/etc/passwd", other.c_str()), "a link beside");
    refused(::open(other.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666) < 0 ? -1 : 0, "a file beside");
    if (path.ends_with(".sock")) require(!SocketClient(path).connected(), "it may connect");
}

}  // namespace

TEST_CASE("Another user neither reads, changes, moves nor joins any file of a cache", "[environment][R13][fork]") {
    if (::geteuid() != 0) {
        WARN(kNeedsRoot);
        return;
    }
    const Watchdog watchdog;
    const ScopedDirectory directory;
    Options options = small_options(directory.path());
    options.listen = true;
    const StageResult result = play([&] {
        Cache cache = Cache::open(options);
        require(is_stored(cache, "key", "secret"), "no put");
        require(eventually([&] { return SocketClient(cache.socket_path()).ask("ping") == "ok"; }), "nobody listens");
        for (const mode_t mode : {0700, 0755}) {  // 0755: somebody opened it since
            require(::chmod(directory.path().c_str(), mode) == 0, "no mode");
            std::map<std::string, struct stat> before;
            for (const std::string& ending : kEndings) before[ending] = status_of(directory.file("test" + ending));
            ChildProcess foreigner = ChildProcess::start([&](Channel&) {
                become_foreign();
                for (const std::string& ending : kEndings) try_all(directory.file("test" + ending));
                if (refused_at([&] { Cache::open(small_options(directory.path())); }) != "directory") return 1;
                return !cache.get("key") && cache.put("mine", "value") != PutResult::stored ? 0 : 2;
            });
            require(foreigner.wait().exited_with(0), "another user gets through");
            for (const std::string& ending : kEndings)
                require(is_same(before[ending], status_of(directory.file("test" + ending))), ending + " is changed");
        }
        require(cache.get("key").value() == "secret", "its owner lost a value");
    });
    CHECK(result.report == "");
}

namespace {

/// What may stand where a file of the cache should be.
struct Squatter {
    const char* what;
    void (*put)(const std::string& path, const std::string& precious);
};

void bind_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int bound = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(::bind(bound, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "no socket");
    ::close(bound);
}

void make_file(const std::string& path, mode_t mode) {
    std::ofstream(path) << "somebody's";
    require(::chmod(path.c_str(), mode) == 0, "no mode");
}

const Squatter kSquatters[] = {
    {"a link to a file", [](auto& path, auto& precious) { std::filesystem::create_symlink(precious, path); }},
    {"a link to nowhere",
     [](auto& path, auto& precious) { std::filesystem::create_symlink(precious + ".absent", path); }},
    {"a directory", [](auto& path, auto&) { std::filesystem::create_directory(path); }},
    {"a pipe", [](auto& path, auto&) { require(::mkfifo(path.c_str(), 0600) == 0, "no pipe"); }},
    {"a socket", [](auto& path, auto&) { bind_socket(path); }},
    {"a file for all", [](auto& path, auto&) { make_file(path, 0666); }},
    {"another user's file",
     [](auto& path, auto&) {
         make_file(path, 0600);
         if (::chown(path.c_str(), kForeigner, kForeigner) != 0) throw NotHere();
     }},
};

/// The cache is refused, or does without the file; what stands there and what it leads to stays.
void open_beside(const Squatter& squatter, const std::string& ending) {
    const ScopedDirectory directory, elsewhere;
    const std::string path = directory.file("test" + ending), precious = elsewhere.file("precious");
    make_file(precious, 0600);
    squatter.put(path, precious);
    const struct stat before = status_of(path), precious_before = status_of(precious);
    LogLines log;
    Options options = small_options(directory.path());
    options.listen = true;
    options.log = log.writer();
    const std::string stage = refused_at([&] {
        Cache cache = Cache::open(options);
        require(is_stored(cache, "key", "value"), "it opens, and is of no use");
        require(eventually([&] { return log.has(path); }), "nobody says what is in the way");
    });
    const bool is_needed = ending == ".seg" || ending == ".lock";
    require(stage.empty() != is_needed, stage.empty() ? "it was opened" : "refused at " + stage);
    require(is_same(before, status_of(path)), "it was touched");
    require(is_same(precious_before, status_of(precious)), "what it leads to was touched");
    require(!std::filesystem::exists(precious + ".absent"), "a file was made where a link leads");
}

}  // namespace

TEST_CASE("What stands in the place of a cache's file is refused and named, and left as it is",
          "[environment][R13][fork]") {
    const Watchdog watchdog;
    for (const Squatter& squatter : kSquatters) {
        for (const std::string ending : {".seg", ".lock", ".listen", ".sock"}) {
            if (ending == ".sock" && std::string(squatter.what) == "a socket") continue;  // a dead listener's: replaced
            INFO(squatter.what << " at " << ending);
            const StageResult result = play([&] { open_beside(squatter, ending); });
            if (!is_skipped(result)) CHECK(result.report == "");
        }
    }
}
