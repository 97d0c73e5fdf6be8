#include "tests/freshness/served_school.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <stdexcept>

#include "core/schema.hpp"
#include "tests/support/eventually.hpp"

namespace larder::freshness {
namespace {

SQLite::Database make_database(const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 10'000);
    create_schema(database);
    // What counts is the order of commits, not the disk.
    database.exec("PRAGMA synchronous = OFF");
    database.exec("INSERT INTO assignments(assignment_id, title, author_id, max_score) VALUES (1, 'Essay', 7, 100)");
    database.exec(
        "INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) "
        "VALUES (1, 1, 1, 'graded', 0, 100)");
    // So many that a computation takes a while.
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "INSERT INTO submissions(submission_id, assignment_id, student_id, status, score, max_score) "
        "SELECT i, 1, i, 'graded', 0, 100 FROM n");
    return database;
}

std::uint16_t port_in(const std::string& file) {
    unsigned port = 0;
    const auto is_there = [&] { return static_cast<bool>(std::ifstream(file) >> port); };
    if (!test::eventually(is_there)) throw std::runtime_error("the service does not come up");
    return static_cast<std::uint16_t>(port);
}

}  // namespace

ServedSchool::ServedSchool()
    : database_(make_database(directory_.file("school.db"))),
      service_(directory_.path(),
               {"serve", "--db", directory_.file("school.db"), "--workers", std::to_string(kWorkers), "--size", "16MiB",
                "--listen", "127.0.0.1:0", "--port-file", directory_.file("port"), "--log-level", "error"}),
      port_(port_in(directory_.file("port"))) {}

ServedSchool::~ServedSchool() {
    service_.signal(SIGTERM);
    service_.finish();
}

std::int64_t ServedSchool::commit(std::uint64_t version) {
    SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
    if (version % 2 == 0)
        database_.exec("UPDATE submissions SET score = score + 1 WHERE submission_id = 1");
    else
        database_.exec("UPDATE assignments SET assigned_count = assigned_count + 1");
    const std::int64_t row = database_.execAndGet("SELECT max(seq) FROM outbox").getInt64();
    transaction.commit();
    return row;
}

bool ServedSchool::is_acknowledged(std::int64_t row) {
    return database_.execAndGet("SELECT count(*) FROM outbox WHERE seq <= " + std::to_string(row)).getInt64() == 0;
}

std::uint64_t version_on(const std::string& page) try {
    const boost::json::value document = boost::json::parse(page);
    return document.at("statistics").at("max").to_number<std::uint64_t>() +
           document.at("submission_rate").at("assigned_count").to_number<std::uint64_t>();
} catch (const std::exception&) {
    return kNoVersion;
}

}  // namespace larder::freshness
