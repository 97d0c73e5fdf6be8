#include "tests/fleet/database.hpp"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/postgres/postgres_import.hpp"
#include "core/submission_source.hpp"
#include "tests/fleet/sandbox.hpp"
#include "tests/support/eventually.hpp"

namespace larder::fleet {
namespace {

constexpr const char* kUser = "postgres";

std::string server_program(const std::string& name) {
    for (const char* version : {"17", "16", "15"})
        if (std::string path = "/usr/lib/postgresql/" + std::string(version) + "/bin/" + name;
            std::filesystem::exists(path))
            return path;
    return {};
}

void give_to_server(const std::string& path) {
    const passwd* const user = ::getpwnam(kUser);
    if (user == nullptr || ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("cannot give " + path + " to the user postgres");
}

/// Made once in a run, and copied.
const std::string& empty_cluster() {
    static const std::string path = [] {
        std::string made = std::string(kFiles) + "/cluster";
        std::filesystem::create_directory(made);
        give_to_server(made);
        run_program({server_program("initdb"), "-D", made, "-U", kUser, "--auth=trust", "--no-sync", "-E", "UTF8",
                     "--locale=C"},
                    -1, kUser);
        std::ofstream(made + "/pg_hba.conf", std::ios::app) << "host all all 10.77.0.0/24 trust\n";
        return made;
    }();
    return path;
}

std::string make_directory() {
    static std::atomic<int> number{0};
    std::string path = std::string(kFiles) + "/database-" + std::to_string(++number);
    std::filesystem::create_directory(path);
    give_to_server(path);
    run_program({find_program("cp"), "-a", empty_cluster(), path + "/data"});
    return path;
}

}  // namespace

Database::Database(int node, int assignments, int hosts) : node_(node), directory_(make_directory()), hosts_(hosts) {
    start();
    make_school(assignments);
}

std::string Database::url(const std::string& role, const std::string& address, std::uint16_t at_port) {
    return "postgres://" + role + "@" + address + ":" + std::to_string(at_port) + "/postgres";
}

std::unique_ptr<postgres::Connection> Database::connect(const char* name) const {
    return std::make_unique<postgres::Connection>(
        postgres::ConnectionOptions{.url = "postgresql:///postgres?host=" + directory_ + "&user=postgres",
                                    .name = name,
                                    .patience = std::chrono::seconds(20)});
}

void Database::start() {
    server_.emplace(ProgramStart{
        .words = {server_program("postgres"), "-D", directory_ + "/data", "-k", directory_, "-h", "*", "-F", "-c",
                  "max_connections=" + std::to_string(100 + 20 * hosts_), "-c", "shared_buffers=64MB", "-c",
                  "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.save=off"},
        .network = node_.network().descriptor(),
        .log = directory_ + "/log",
        .user = kUser});
    const bool is_up = test::eventually([&] {
        try {
            connect("fleet");
            return true;
        } catch (const SourceError&) {
            return false;
        }
    });
    if (!is_up) throw std::runtime_error("the database does not come up");
}

void Database::stop(int signal) {
    reads_before_ = document_reads();
    server_->signal(signal);
    server_->wait();
}

void Database::make_school(int assignments) {
    const auto writer = connect("fleet");
    postgres::create_schema(*writer);
    const std::string all = "FROM generate_series(1, " + std::to_string(assignments) + ") n";
    writer->run(
        "INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count) "
        "SELECT n, 'Essay', 7, 100, 4 " +
        all +
        "; INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) "
        "SELECT n, n, 1, 'graded', 0, 100 " +
        all +
        "; CREATE EXTENSION pg_stat_statements SCHEMA public; CREATE ROLE web LOGIN; CREATE ROLE relay LOGIN; GRANT "
        "larder_reader TO web; GRANT larder_relay TO relay; "
        "ANALYZE");
}

void Database::end_sessions() const {
    connect("fleet")->run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'larder%' AND "
        "client_addr IS NOT NULL");
}

std::int64_t Database::document_reads() const {
    return reads_before_ + connect("fleet")
                               ->run(
                                   "SELECT coalesce(sum(calls), 0)::bigint FROM public.pg_stat_statements WHERE query "
                                   "LIKE '%LEFT JOIN submissions%' AND query NOT LIKE '%pg_stat_statements%'")
                               .integer(0, 0);
}

std::string Database::relay_address() const {
    const postgres::Rows rows = connect("fleet")->run(
        "SELECT host(client_addr) FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND "
        "granted AND mode = 'ExclusiveLock' AND application_name LIKE 'larder%' AND client_addr IS NOT NULL");
    return rows.count() == 0 ? std::string() : std::string(rows.text(0, 0));
}

std::string Database::log() const { return text_of(directory_ + "/log"); }

std::string Database::missing_programs() {
    return server_program("postgres").empty() || ::getpwnam(kUser) == nullptr ? "postgresql" : "";
}

}  // namespace larder::fleet
