// A PostgreSQL server of the test's own, on a socket in a directory that goes away, and databases in it.
#pragma once

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/postgres/connection.hpp"
#include "core/postgres/postgres_import.hpp"
#include "core/submission_source.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::test {

/// Debian keeps the server's programs out of the way; "": they are not installed.
inline std::string postgres_program(const std::string& name) {
    for (const char* version : {"15", "16", "17"})
        if (const std::string path = "/usr/lib/postgresql/" + std::string(version) + "/bin/" + name;
            std::filesystem::exists(path))
            return path;
    return {};
}

/// The server refuses to be root's: then it is the user postgres's. Killed with the test.
class PostgresServer {
public:
    PostgresServer() : directory_("/tmp") {
        ::chmod(directory_.path().c_str(), 0755);
        const std::string data = directory_.file("data");
        ::mkdir(data.c_str(), 0700);
        if (const passwd* const user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; user != nullptr) {
            uid_ = user->pw_uid;
            gid_ = user->pw_gid;
            for (const std::string& path : {data, directory_.path()})
                if (::chown(path.c_str(), uid_, gid_) != 0) throw std::runtime_error("chown");
        }
        run({postgres_program("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
             "--locale=C"});
        start();
    }

    void start() {
        const std::vector<std::string> words{
            postgres_program("postgres"), "-D", directory_.file("data"), "-k", directory_.path(), "-h", "", "-F", "-c",
            "max_connections=60"};
        server_.emplace(ChildProcess::start([&](Channel&) { return become(words); }));
        REQUIRE(eventually([&] {
            try {
                postgres::Connection({.url = url("postgres"), .patience = std::chrono::seconds(1)});
                return true;
            } catch (const SourceError&) {
                return false;
            }
        }));
    }
    /// As a power cut would, or (SIGINT) at once and in order.
    void stop(int signal = SIGQUIT) {
        server_->kill(signal);
        server_->wait();
        server_.reset();
    }
    void restart(int signal = SIGINT) {
        stop(signal);
        start();
    }

    std::string url(const std::string& database, const std::string& user = "postgres") const {
        return "postgresql:///" + database + "?host=" + directory_.path() + "&user=" + user;
    }
    /// An empty one; returns its URL.
    std::string make_database() {
        const std::string name = "db" + std::to_string(++databases_);
        postgres::Connection({.url = url("postgres"), .patience = std::chrono::seconds(20)})
            .run("CREATE DATABASE " + name);
        return url(name);
    }

    /// One for the whole program. Its databases are each a test's own.
    static PostgresServer& shared() {
        static PostgresServer server;
        return server;
    }

private:
    int become(const std::vector<std::string>& words) const {
        if (uid_ != 0 && (::setgid(gid_) != 0 || ::setuid(uid_) != 0)) return 72;
        if (::freopen(directory_.file("log").c_str(), "a", stdout) == nullptr) return 73;
        ::dup2(STDOUT_FILENO, STDERR_FILENO);
        std::vector<char*> argv;
        for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        return 74;
    }
    void run(const std::vector<std::string>& words) const {
        ChildProcess child = ChildProcess::start([&](Channel&) { return become(words); });
        INFO(words.front());
        REQUIRE(child.wait().exited_with(0));
    }

    const ScopedDirectory directory_;
    uid_t uid_ = 0;
    gid_t gid_ = 0;
    int databases_ = 0;
    std::optional<ChildProcess> server_;
};

/// A database with our schema, and a connection of a writer of it.
class PostgresSchool {
public:
    PostgresSchool() : url(PostgresServer::shared().make_database()), writer(options()) {
        postgres::create_schema(writer);
    }
    postgres::ConnectionOptions options() const { return {.url = url, .patience = std::chrono::seconds(20)}; }
    void sql(const std::string& statements) { writer.run(statements); }
    std::int64_t number(const std::string& query) { return writer.run(query).integer(0, 0); }
    void add_assignment(std::int64_t id, const std::string& author = "7") {
        sql("INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count) VALUES (" +
            std::to_string(id) + ", 'Essay', " + author + ", 100, 4)");
    }
    void add_score(std::int64_t submission_id, std::int64_t assignment_id, const std::string& score) {
        sql("INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) VALUES (" +
            std::to_string(submission_id) + ", " + std::to_string(assignment_id) + ", 1, 'graded', " + score +
            ", 100)");
    }

    const std::string url;
    postgres::Connection writer;
};

}  // namespace larder::test
