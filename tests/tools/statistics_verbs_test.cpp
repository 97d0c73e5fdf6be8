// import, analytics, hit-rate: from CSV files to the document on standard output.
#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/larder_command.hpp"
#include "tests/support/scoped_directory.hpp"

using namespace larder;
using test::CommandResult;
using test::LarderCommand;
using test::ScopedDirectory;
namespace json = boost::json;

namespace {

/// A database with two assignments, made by the program itself.
class Office {
public:
    Office() {
        std::filesystem::create_directory(directory_.file("cache"));
        std::filesystem::permissions(directory_.file("cache"), std::filesystem::perms::owner_all);
        write("a.csv",
              "assignment_id,title,author_id,max_score,due_at,assigned_count\n"
              "1,Essay,7,100,2024-01-01T00:00:00Z,4\n2,Exam,7,100,,2\n");
        write("s.csv",
              "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n"
              "10,1,1,graded,80,100,0,2024-01-01T00:00:00Z,2024-01-01T01:00:00Z\n"
              "11,1,2,graded,90,100,1,2024-01-01T00:00:00Z,2024-01-01T03:00:00Z\n");
    }
    std::string file(const std::string& name) const { return directory_.file(name); }
    void write(const std::string& name, const std::string& text) const { std::ofstream(file(name)) << text; }
    CommandResult run(const std::vector<std::string>& arguments) const {
        return test::run_larder(file("cache"), arguments);
    }
    CommandResult import() const {
        return run({"import", "--db", file("db"), "--assignments", file("a.csv"), "--submissions", file("s.csv")});
    }
    CommandResult analytics(const std::string& id, const std::vector<std::string>& more = {}) const {
        std::vector<std::string> arguments = {"analytics", id, "--db", file("db"), "--size", "16MiB"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments);
    }
    double mean(const CommandResult& result) const {
        return result.json().at("statistics").at("mean").to_number<double>();
    }
    void sql(const std::string& statement) const {
        SQLite::Database(file("db"), SQLite::OPEN_READWRITE, 5'000).exec(statement);
    }

private:
    ScopedDirectory directory_;
};

}  // namespace

TEST_CASE("import says how many rows it took, and nothing is imported with a bad one", "[cli]") {
    const Office office;
    const CommandResult done = office.import();
    CHECK(done.code == 0);
    CHECK(done.out == "imported 2 assignments and 2 submissions\n");
    CHECK(done.err.empty());
    office.write("s.csv",
                 "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n"
                 "12,1,3,graded,70,100,0,,\n13,99,3,graded,70,100,0,,\n");
    const CommandResult refused = office.import();
    CHECK(refused.code == 3);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, Catch::Contains("s.csv, line 3, column 2"));
    CHECK(office.mean(office.analytics("1")) == 85.0);
}

TEST_CASE("analytics prints the document itself, and wraps it in JSON with its state", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    const CommandResult cold = office.analytics("1");
    CHECK(cold.code == 0);
    CHECK(cold.json().at("assignment_title") == "Essay");
    CHECK(office.mean(cold) == 85.0);
    const CommandResult warm = office.analytics("1");
    CHECK(warm.out == cold.out);
    const CommandResult wrapped = office.analytics("1", {"--json"});
    CHECK(wrapped.json().at("state") == "hit");
    CHECK(wrapped.json().at("compute_ms").to_number<double>() == 0.0);
    CHECK(wrapped.json().at("document") == cold.json());
    const CommandResult miss = office.analytics("2", {"--json"});
    CHECK(miss.json().at("state") == "miss");
    CHECK(miss.json().at("compute_ms").to_number<double>() > 0.0);
    const json::value rate = office.run({"hit-rate", "1", "--json"}).json();
    CHECK(rate == json::parse(R"({"hits":2,"misses":1,"total":3,"hit_rate_percentage":66.67,)"
                              R"("cache_key":"assignment_stats:1","ttl_seconds":300})"));
    CHECK(office.run({"hit-rate", "1"}).lines().size() == 1);
}

TEST_CASE("hit-rate says of a key without counts that it has none", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    REQUIRE(office.analytics("1").code == 0);
    const CommandResult tracked = office.run({"hit-rate", "1"});
    CHECK(tracked.out.find("not tracked") == std::string::npos);
    CHECK(tracked.err.empty());
    CHECK(office.run({"hit-rate", "1", "--json"}).err.empty());
    const CommandResult untracked = office.run({"hit-rate", "2"});
    CHECK(untracked.code == 0);
    CHECK(untracked.lines().size() == 1);
    CHECK_THAT(untracked.out, Catch::Contains("; not tracked: "));
    const CommandResult object = office.run({"hit-rate", "2", "--json"});
    CHECK(object.json().as_object().size() == 6);
    CHECK_THAT(object.err, Catch::Contains("assignment_stats:2 is not tracked: "));
}

TEST_CASE("import counts an id that comes twice once, as the table does", "[cli]") {
    const Office office;
    office.write("a.csv",
                 "assignment_id,title,author_id,max_score,due_at,assigned_count\n"
                 "1,Draft,7,100,,4\n1,Essay,7,100,,4\n");
    office.write("s.csv",
                 "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n"
                 "10,1,1,graded,80,100,0,,\n11,1,2,graded,90,100,1,,\n10,1,1,graded,60,100,0,,\n");
    CHECK(office.import().out == "imported 1 assignments and 2 submissions\n");
    CHECK(office.analytics("1").json().at("assignment_title") == "Essay");
    CHECK(office.mean(office.analytics("1")) == 75.0);
}

TEST_CASE("an unknown assignment exits with 1 and leaves nothing behind", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    const CommandResult unknown = office.analytics("99");
    CHECK(unknown.code == 1);
    CHECK(unknown.out.empty());
    CHECK_THAT(unknown.err, Catch::Contains("99"));
    CHECK(office.run({"dump", "--json", "--prefix", "assignment_stats:"}).out.empty());
}

TEST_CASE("a change of the database is seen by the next analytics when nobody listens", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    CHECK(office.mean(office.analytics("1")) == 85.0);
    office.sql("UPDATE submissions SET score = 60 WHERE submission_id = 10");
    CHECK(office.mean(office.analytics("1")) == 75.0);
}

TEST_CASE("a change of the database is seen while `listen --db` relays it", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    LarderCommand listener(office.file("cache"), {"listen", "--db", office.file("db"), "--size", "16MiB"});
    REQUIRE(test::eventually([&] {
        const CommandResult caches = office.run({"ls", "--json"});
        return !caches.out.empty() && caches.json().at("listening").as_bool();
    }));
    CHECK(office.mean(office.analytics("1")) == 85.0);
    office.sql("UPDATE submissions SET score = 60 WHERE submission_id = 10");
    CHECK(test::eventually([&] { return office.mean(office.analytics("1")) == 75.0; }));
    listener.signal(SIGINT);
    CHECK(listener.finish().code == 0);
}

TEST_CASE("a change of the database is seen by the next analytics beside a listener without a database", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    LarderCommand listener(office.file("cache"), {"listen", "--size", "16MiB"});
    REQUIRE(test::eventually([&] {
        const CommandResult caches = office.run({"ls", "--json"});
        return !caches.out.empty() && caches.json().at("listening").as_bool();
    }));
    CHECK(office.mean(office.analytics("1")) == 85.0);
    office.sql("UPDATE submissions SET score = 60 WHERE submission_id = 10");
    CHECK(office.mean(office.analytics("1")) == 75.0);
    listener.signal(SIGINT);
    CHECK(listener.finish().code == 0);
}

TEST_CASE("one cache serves one database", "[cli]") {
    const Office office;
    REQUIRE(office.import().code == 0);
    REQUIRE(office.analytics("1").code == 0);
    std::filesystem::copy_file(office.file("db"), office.file("other.db"));
    const CommandResult refused = office.run({"analytics", "1", "--db", office.file("other.db")});
    CHECK(refused.code == 3);
    CHECK(refused.out.empty());
    CHECK_THAT(refused.err, Catch::Contains(office.file("db")));
}

TEST_CASE("a database that is not there is a failure with its path, and makes no cache", "[cli]") {
    const Office office;
    const CommandResult result = office.analytics("1");
    CHECK(result.code == 3);
    CHECK_THAT(result.err, Catch::Contains(office.file("db")));
    CHECK(office.run({"ls", "--json"}).out.empty());
}

TEST_CASE("listen makes no cache for a database that is missing or another's", "[cli]") {
    const Office office;
    const auto refused = [&office] {
        const CommandResult result = office.run({"listen", "--db", office.file("db"), "--size", "16MiB"});
        CHECK(result.code == 3);
        CHECK_THAT(result.err, Catch::Contains(office.file("db")));
        CHECK(office.run({"ls", "--json"}).out.empty());
    };
    refused();
    office.write("db", "no database at all\n");
    refused();
    std::filesystem::remove(office.file("db"));
    SQLite::Database(office.file("db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE other (x)");
    refused();
}
