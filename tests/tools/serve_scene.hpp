// `larder serve` as its users meet it: the real program, a real database, real sockets.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/schema.hpp"
#include "shm/cache.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/scoped_directory.hpp"
#include "tools/http/token.hpp"

namespace larder::test {

inline const std::string secret = "0123456789abcdef0123456789abcdef";

inline std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The parent's and the state's column of /proc/PID/stat; 0 and '?' where there is no such process.
inline std::pair<pid_t, char> process_stat(pid_t pid) {
    const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) return {0, '?'};
    std::istringstream rest(stat.substr(name_end + 1));
    char state = '?';
    pid_t parent = 0;
    rest >> state >> parent;
    return {parent, state};
}

inline bool is_alive(pid_t pid) {
    const char state = process_stat(pid).second;
    return state != '?' && state != 'Z' && state != 'X';
}

inline std::set<pid_t> children_of(pid_t parent) {
    std::set<pid_t> children;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid > 0 && process_stat(pid).first == parent && is_alive(pid)) children.insert(pid);
    }
    return children;
}

// Two assignments of author 7, one of author 8; a cache directory of their own.
class ServedSchool {
public:
    ServedSchool() : database_(directory_.file("school.db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5'000) {
        create_schema(database_);
        sql("INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count) VALUES"
            " (1, 'Essay', 7, 100, 4), (2, 'Lab', 7, 100, 4), (3, 'Exam', 8, 100, 4)");
        for (int id = 1; id <= 3; ++id)
            for (int student = 1; student <= 3; ++student)
                sql("INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) "
                    "VALUES (" +
                    std::to_string(id * 10 + student) + ", " + std::to_string(id) + ", " + std::to_string(student) +
                    ", 'graded', " + std::to_string(60 + 10 * student) + ", 100)");
        std::ofstream(directory_.file("key")) << secret << '\n';
        ::chmod(directory_.file("key").c_str(), 0600);
        ::mkdir(directory_.file("cache").c_str(), 0700);
    }
    void sql(const std::string& statement) { database_.exec(statement); }
    std::int64_t outbox_rows() { return database_.execAndGet("SELECT count(*) FROM outbox").getInt64(); }
    std::string file(const std::string& name) const { return directory_.file(name); }
    Cache cache() const {
        return Cache::open({.directory = directory_.file("cache"), .create = false, .role = "test"});
    }

private:
    ScopedDirectory directory_;
    SQLite::Database database_;
};

// `larder ARGUMENTS`, its output in NAME.log.
inline ChildProcess start_larder(const ServedSchool& school, const std::string& name,
                                 std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), LARDER_BINARY);
    return ChildProcess::start([&school, &name, &arguments](Channel&) {
        const int log = ::open(school.file(name + ".log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        ::execv(LARDER_BINARY, argv.data());
        return 72;
    });
}

class Service {
public:
    explicit Service(const ServedSchool& school, const std::vector<std::string>& more = {},
                     const std::string& name = "serve")
        : school_(school), name_(name), child_(start_larder(school, name, arguments(school, more, name))) {
        const bool is_up =
            eventually([this] { return !is_alive(child_.pid()) || std::filesystem::exists(port_file()); }) &&
            std::filesystem::exists(port_file());
        INFO(log());
        REQUIRE(is_up);
        port_ = static_cast<std::uint16_t>(std::stoi(text_of(port_file())));
        std::set<std::string> ready;
        REQUIRE(eventually([&] {
            const HttpAnswer answer = http_get(port_, "/healthz");
            if (answer.status == 200) ready.insert(answer.header("X-Worker"));
            return ready.size() == 2;
        }));
    }
    static std::vector<std::string> arguments(const ServedSchool& school, const std::vector<std::string>& more,
                                              const std::string& name) {
        std::vector<std::string> all{"serve",
                                     "--db",
                                     school.file("school.db"),
                                     "--directory",
                                     school.file("cache"),
                                     "--size",
                                     "16MiB",
                                     "--listen",
                                     "127.0.0.1:0",
                                     "--port-file",
                                     school.file(name + ".port")};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    std::uint16_t port() const { return port_; }
    ChildProcess& child() { return child_; }
    std::string log() const { return text_of(school_.file(name_ + ".log")); }
    std::set<pid_t> workers() const { return children_of(child_.pid()); }
    HttpAnswer get(const std::string& target, const std::string& more_headers = {}) const {
        return http_get(port_, target, more_headers);
    }
    HttpAnswer post(const std::string& target, const std::string& body, const std::string& more_headers = {}) const {
        return http_post(port_, target, body, more_headers);
    }

private:
    std::string port_file() const { return school_.file(name_ + ".port"); }
    const ServedSchool& school_;
    std::string name_;
    ChildProcess child_;
    std::uint16_t port_ = 0;
};

inline std::string analytics(std::int64_t id) { return "/api/assignments/" + std::to_string(id) + "/analytics/"; }
inline std::string hit_rate(std::int64_t id) { return "/api/assignments/" + std::to_string(id) + "/cache_hit_rate/"; }
inline const std::vector<std::string> no_more;

inline std::vector<std::string> with_key(const ServedSchool& school) { return {"--auth-key-file", school.file("key")}; }

inline std::string bearer(Role role, UserId user_id) {
    const auto keys = tools::KeyRing::parse(secret);
    return "Authorization: Bearer " +
           tools::make_token({.user_id = user_id, .role = role}, std::chrono::hours(1), keys, tools::WallClock::now()) +
           "\r\n";
}

// Exit code of a `larder` that is expected to end by itself.
inline int exit_code(const ServedSchool& school, const std::string& name, const std::vector<std::string>& arguments) {
    ChildProcess child = start_larder(school, name, arguments);
    for (int code = 0; code < 4; ++code)
        if (child.wait().exited_with(code)) return code;
    return -1;
}

}  // namespace larder::test
