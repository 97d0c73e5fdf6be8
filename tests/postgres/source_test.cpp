// Both kinds of databases, read by the same tests.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "core/analytics.hpp"
#include "core/csv_import.hpp"
#include "core/postgres/postgres_import.hpp"
#include "core/postgres/postgres_source.hpp"
#include "core/stats_document.hpp"
#include "tests/core/school.hpp"
#include "tests/postgres/postgres_server.hpp"

using namespace larder;
using namespace larder::test;
using postgres::Connection;
using postgres::PostgresSource;

namespace {

struct Sqlite : School {
    std::unique_ptr<SubmissionSource> open() const { return open_source(path()); }
};

struct Postgres : PostgresSchool {
    std::unique_ptr<SubmissionSource> open() const { return std::make_unique<PostgresSource>(url); }
};

template <class School>
struct Scene : School {
    void add_submission(int id, int assignment, const std::string& columns, const std::string& values) {
        this->sql("INSERT INTO submissions(submission_id, assignment_id, " + columns + ") VALUES (" +
                  std::to_string(id) + ", " + std::to_string(assignment) + ", " + values + ")");
    }
};

}  // namespace

TEMPLATE_TEST_CASE("an assignment is read with all its submissions", "[postgres]", Sqlite, Postgres) {
    Scene<TestType> scene;
    scene.sql(
        "INSERT INTO assignments(assignment_id, title, author_id, max_score, assigned_count, course) VALUES "
        "(1, 'Eßay \"1\"', 7, 99.5, 4, 'AAA'), (2, NULL, NULL, NULL, 0, NULL)");
    scene.add_submission(10, 1, "status, score, max_score, is_late, submitted_at, graded_at",
                         "'graded', 80.1234, 100, '1', '2013-10-20T23:59:59Z', '2013-10-21T00:00:00.5Z'");
    scene.add_submission(11, 1, "status", "'submitted'");
    const auto source = scene.open();
    const auto record = source->load(1);
    REQUIRE(record);
    CHECK(record->assignment.title == "Eßay \"1\"");
    CHECK(record->assignment.author_id == 7);
    CHECK(record->assignment.max_score == parse_points("99.5"));
    CHECK(record->assignment.assigned_count == 4);
    CHECK(record->assignment.course == "AAA");
    REQUIRE(record->submissions.size() == 2);
    const Submission& graded = record->submissions[record->submissions[0].graded ? 0 : 1];
    CHECK(graded.score == parse_points("80.1234"));
    CHECK(graded.late);
    CHECK(graded.submitted_at == parse_timestamp("2013-10-20T23:59:59Z"));
    CHECK(graded.graded_at == parse_timestamp("2013-10-21T00:00:00.5Z"));
    const auto bare = source->load(2);
    REQUIRE(bare);
    CHECK_FALSE(bare->assignment.title);
    CHECK_FALSE(bare->assignment.author_id);
    CHECK(bare->submissions.empty());
    CHECK_FALSE(source->load(3));
    CHECK(source->ownership(1)->author_id == 7);
    CHECK_FALSE(source->ownership(2)->author_id);
    CHECK_FALSE(source->ownership(3));
}

TEMPLATE_TEST_CASE("what was committed before a read is in it", "[postgres]", Sqlite, Postgres) {
    Scene<TestType> scene;
    scene.add_assignment(1);
    const auto source = scene.open();
    for (int i = 0; i < 20; ++i) {
        scene.add_score(100 + i, 1, std::to_string(i));
        CHECK(source->load(1)->submissions.size() == static_cast<std::size_t>(i + 1));
    }
}

TEMPLATE_TEST_CASE("the newest of an author come first, and those of no known time last", "[postgres]", Sqlite,
                   Postgres) {
    Scene<TestType> scene;
    scene.sql(
        "INSERT INTO assignments(assignment_id, author_id, created_at) VALUES (1, 7, '2020-01-01T00:00:00Z'), "
        "(2, 7, '2021-01-01T00:00:00Z'), (3, 7, NULL), (4, 7, NULL), (5, 8, '2022-01-01T00:00:00Z'), "
        "(6, 7, '2020-01-01T00:00:00Z')");
    const auto source = scene.open();
    CHECK(source->recent_of_author(7, 10) == std::vector<AssignmentId>{2, 6, 1, 4, 3});
    CHECK(source->recent_of_author(7, 2) == std::vector<AssignmentId>{2, 6});
    CHECK(source->recent_of_author(9, 10).empty());
    CHECK(source->all_ids() == std::vector<AssignmentId>{1, 2, 3, 4, 5, 6});
}

TEMPLATE_TEST_CASE("what was handed in or graded lately is active", "[postgres]", Sqlite, Postgres) {
    Scene<TestType> scene;
    for (const int id : {1, 2, 3}) scene.add_assignment(id);
    scene.add_submission(10, 1, "submitted_at", "'2024-01-02T00:00:00Z'");
    scene.add_submission(20, 2, "submitted_at, graded_at", "'2023-01-01T00:00:00Z', '2024-01-01T00:00:00Z'");
    scene.add_submission(30, 3, "submitted_at", "'2023-12-31T23:59:59Z'");
    CHECK(scene.open()->active_since(*parse_timestamp("2024-01-01T00:00:00Z")) == std::vector<AssignmentId>{1, 2});
}

TEST_CASE("a server that cannot be reached, or has no tables, is named without its password", "[postgres]") {
    CHECK_THROWS_WITH(PostgresSource("postgres://larder:hunter2@127.0.0.1:1/school"),
                      Catch::Contains("larder@127.0.0.1:1/school") && !Catch::Contains("hunter2"));
    CHECK_THROWS_WITH(PostgresSource("postgres://x:hunter2@["), !Catch::Contains("hunter2"));
    for (const char* url : {"postgres://x:hunter2@hunter3@127.0.0.1:1/school",
                            "postgres://x:hunter2/3@127.0.0.1:1/school", "postgres://x:hunt?e@r@127.0.0.1:1/school"})
        CHECK_THROWS_WITH(PostgresSource(url), Catch::Contains("write %40 and %2F") && !Catch::Contains("hunter"));
    CHECK_THROWS_WITH(PostgresSource("postgres://x:hunter2127.0.0.1:1/school"),
                      Catch::Contains("port that is no number") && !Catch::Contains("hunter"));
    CHECK_THROWS_WITH(PostgresSource(PostgresServer::shared().make_database()), Catch::Contains("larder import"));
}

TEST_CASE("OULAD imported into both gives the same documents", "[postgres][data]") {
    const auto oulad = oulad_directory();
    if (!oulad) return;
    const ImportFiles files{*oulad + "/oulad_assignments.csv", *oulad + "/oulad_submissions.csv.gz"};
    const ScopedDirectory directory;
    const std::string url = PostgresServer::shared().make_database();
    const auto import_there = [&] {
        postgres::PostgresImport writer(url);
        return import_csv(writer, files);
    };
    const ImportCounts here = import_csv(directory.file("oulad.db"), files), there = import_there();
    CHECK(here.assignments == there.assignments);
    CHECK(here.submissions == there.submissions);
    const auto first = open_source(directory.file("oulad.db"));
    const auto second = std::make_unique<PostgresSource>(url);
    const std::vector<AssignmentId> ids = first->all_ids();
    CHECK(second->all_ids() == ids);
    const Timestamp now = *parse_timestamp("2024-01-01T00:00:00Z");
    const auto document = [now](SubmissionSource& source, AssignmentId id) {
        const auto record = source.load(id);
        return to_document(record->assignment, analyze(record->assignment, record->submissions), now, now);
    };
    for (const AssignmentId id : ids) CHECK(document(*first, id) == document(*second, id));
    // A known id replaces the old row, and each assignment has one row in the outbox a transaction.
    import_there();
    CHECK(second->all_ids() == ids);
    postgres::Connection reader({.url = url, .patience = std::chrono::seconds(20)});
    CHECK(reader.run("SELECT max(n) FROM (SELECT count(*) AS n FROM outbox GROUP BY txid, assignment_id, kind) rows")
              .integer(0, 0) == 1);
}

TEST_CASE("a statement that waits for a lock ends at the server, too", "[postgres]") {
    PostgresSchool school;
    school.add_assignment(1);
    Connection owner(school.options());
    owner.run("BEGIN; LOCK TABLE assignments");
    Connection reader({.url = school.url, .name = "patient reader", .patience = std::chrono::milliseconds(300)});
    CHECK_THROWS_AS(reader.run("SELECT * FROM assignments"), SourceUnavailable);
    CHECK(eventually([&] {
        return school.number(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'patient reader' AND "
                   "state = 'active'") == 0;
    }));
}

/// Takes no connection, and refuses none: a SYN stays unanswered, as that of a machine that is gone.
class DeafPort {
public:
    DeafPort() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const where = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(listener_, where, size) == 0);
        REQUIRE(::listen(listener_, 0) == 0);
        REQUIRE(::getsockname(listener_, where, &size) == 0);
        port = ntohs(address.sin_port);
        for (int& fd : waiting_) {
            fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            static_cast<void>(::connect(fd, where, size));
        }
    }
    ~DeafPort() {
        for (const int fd : waiting_) ::close(fd);
        ::close(listener_);
    }
    int port = 0;

private:
    const int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::array<int, 4> waiting_{};
};

TEST_CASE("where the first server of several does not answer the next one is found", "[postgres]") {
    const PostgresSchool school;
    const DeafPort deaf;
    const std::size_t host = school.url.find("host=") + 5;
    std::string url = school.url;
    url.insert(host, "127.0.0.1,");
    url += "&port=" + std::to_string(deaf.port) + ",5432";
    Connection found({.url = url, .must_write = true, .patience = std::chrono::seconds(1)});
    CHECK(found.run("SELECT 1").integer(0, 0) == 1);
}
