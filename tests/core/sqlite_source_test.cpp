#include "core/sqlite_source.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/source_pool.hpp"
#include "tests/core/school.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/eventually.hpp"

using namespace larder;
using larder::test::School;

TEST_CASE("an assignment is loaded with all its submissions and their nulls") {
    School school;
    school.sql("INSERT INTO assignments VALUES (1, 'Essay', 7, 99.5, NULL, 30, 'Law', NULL, NULL)");
    school.sql("INSERT INTO submissions VALUES (10, 1, 5, 'graded', 78.2501, 100, 1, '2024-01-01T00:00:00Z', NULL)");
    school.sql("INSERT INTO submissions VALUES (11, 1, 6, 'submitted', NULL, NULL, NULL, 'yesterday', NULL)");
    school.sql("INSERT INTO submissions VALUES (12, 2, 6, 'graded', 1, 1, 0, NULL, NULL)");
    SqliteSource source(school.path());

    const auto record = source.load(1);

    REQUIRE(record);
    CHECK(record->assignment.title == "Essay");
    CHECK(record->assignment.author_id == 7);
    CHECK(record->assignment.max_score == Points{995'000});
    CHECK(record->assignment.assigned_count == 30);
    CHECK(record->assignment.course == "Law");
    REQUIRE(record->submissions.size() == 2);
    const Submission& first = record->submissions[0];
    CHECK(first.graded);
    CHECK(first.late);
    CHECK(first.score == Points{782'501});
    CHECK(first.submitted_at == parse_timestamp("2024-01-01T00:00:00Z"));
    CHECK_FALSE(first.graded_at);
    const Submission& second = record->submissions[1];
    CHECK_FALSE(second.graded);
    CHECK_FALSE(second.late);
    CHECK_FALSE(second.score);
    CHECK_FALSE(second.submitted_at);
}

TEST_CASE("a score that is text is the number that it says, or an error that names it") {
    School school;
    school.add_assignment(1);
    school.sql(
        "PRAGMA ignore_check_constraints = 1; ALTER TABLE submissions RENAME TO old; CREATE TABLE submissions AS "
        "SELECT * FROM old");
    const auto score = [&school](const std::string& value) {
        school.sql("DELETE FROM submissions");
        school.sql("INSERT INTO submissions(assignment_id, score) VALUES (1, " + value + ")");
        return SqliteSource(school.path()).load(1)->submissions.at(0).score;
    };
    CHECK(score("CAST('85.5' AS TEXT)") == Points{855'000});
    CHECK(score("CAST('85' AS BLOB)") == Points{850'000});
    CHECK(score("-1.25") == Points{-12'500});
    CHECK_FALSE(score("NULL"));
    for (const std::string text : {"n/a", "85 %", "", " 85", "0x10", "inf", "nan", "1e9", "8,5"}) {
        INFO(text);
        CHECK_THROWS_WITH(score("CAST('" + text + "' AS BLOB)"),
                          Catch::Contains("the score `" + text + "` in assignment 1 is not a number"));
    }
    CHECK_THROWS_WITH(score("1e9"), Catch::Contains("not a number below 1e9"));
}

TEST_CASE("existence and author are told apart") {
    School school;
    school.add_assignment(1, "7");
    school.add_assignment(2, "NULL");
    SqliteSource source(school.path());
    REQUIRE(source.ownership(1));
    CHECK(source.ownership(1)->author_id == 7);
    REQUIRE(source.ownership(2));
    CHECK_FALSE(source.ownership(2)->author_id);
    CHECK_FALSE(source.ownership(3));
    CHECK_FALSE(source.load(3));
    CHECK(source.all_ids() == std::vector<AssignmentId>{1, 2});
}

TEST_CASE("an author's most recent assignments come first, those without a date last") {
    School school;
    for (const int id : {1, 2, 3, 4, 5}) school.add_assignment(id, id == 5 ? "8" : "7");
    school.sql("UPDATE assignments SET created_at = '2024-01-02T00:00:00Z' WHERE assignment_id = 1");
    school.sql("UPDATE assignments SET created_at = '2024-01-02T00:00:00.500Z' WHERE assignment_id = 2");
    SqliteSource source(school.path());
    CHECK(source.recent_of_author(7, 10) == std::vector<AssignmentId>{2, 1, 4, 3});
    CHECK(source.recent_of_author(7, 2) == std::vector<AssignmentId>{2, 1});
    CHECK(source.recent_of_author(9, 10).empty());
}

TEST_CASE("each load sees what was committed before it, and only that") {
    School school;
    school.add_assignment(1);
    SqliteSource source(school.path());
    CHECK(source.load(1)->submissions.empty());

    school.sql("BEGIN");
    school.add_score(10, 1, "50");
    CHECK(source.load(1)->submissions.empty());
    school.sql("COMMIT");

    CHECK(source.load(1)->submissions.size() == 1);
    CHECK_FALSE(source.load(2));
    school.add_assignment(2);
    CHECK(source.load(2));
}

TEST_CASE("a source cannot be opened on what is no Larder database, and says what to do") {
    const test::ScopedDirectory directory;
    CHECK_THROWS_WITH(open_source(directory.file("absent.db")), Catch::Contains("larder import"));
    CHECK_FALSE(std::filesystem::exists(directory.file("absent.db")));
    CHECK_THROWS_AS(
        open_source(test::write_file(directory, "text.db", "certainly not a database, but long enough to look at")),
        SourceError);
    CHECK_THROWS_AS(open_source(test::write_file(directory, "empty.db", "")), SourceError);
    CHECK_THROWS_WITH(open_source("postgresql://host/school"), Catch::Contains("postgresql"));
    CHECK_THROWS_AS(open_source(""), SourceError);
}

TEST_CASE("paths and URLs of one file have one identity") {
    School school;
    const std::string link = school.directory().file("link.db");
    std::filesystem::create_symlink(school.path(), link);
    CHECK(open_source("sqlite:" + school.path())->all_ids().empty());
    CHECK(open_source("sqlite://" + school.path())->all_ids().empty());
    CHECK(database_identity(link) == database_identity("sqlite://" + school.path()));
    CHECK(database_identity(school.path()) == std::filesystem::canonical(school.path()).string());
    CHECK(database_identity("sqlite:x.db") == (std::filesystem::current_path() / "x.db").string());
}

TEST_CASE("a pool opens a source only when none is idle, and drops one that failed") {
    School school;
    int opened = 0;
    SourcePool pool([&] {
        ++opened;
        return open_source(school.path());
    });
    const auto all_ids = [](SubmissionSource& source) { return source.all_ids(); };
    const auto twice = [&](SubmissionSource&) { return pool.read(all_ids); };
    CHECK(pool.read(all_ids).empty());
    CHECK(pool.read(all_ids).empty());
    CHECK(opened == 1);
    CHECK(pool.read(twice).empty());
    CHECK(opened == 2);
    CHECK_THROWS_AS(pool.read([](SubmissionSource&) -> int { throw SourceError("broken"); }), SourceError);
    CHECK(pool.read(twice).empty());
    CHECK(opened == 3);
}

TEST_CASE("once a source could not be had nobody else waits for it for a while") {
    bool is_gone = true;
    int asked = 0;
    School school;
    SourcePool pool([&]() -> std::unique_ptr<SubmissionSource> {
        ++asked;
        if (is_gone) throw SourceUnavailable("locked");
        return open_source(school.path());
    });
    const auto all_ids = [](SubmissionSource& source) { return source.all_ids(); };
    for (int i = 0; i < 5; ++i) CHECK_THROWS_WITH(pool.read(all_ids), "locked");
    CHECK(asked == 1);
    is_gone = false;
    CHECK(test::eventually([&] {
        try {
            return pool.read(all_ids).empty();
        } catch (const SourceError&) {
            return false;
        }
    }));
    is_gone = true;
    CHECK_THROWS_AS(pool.read([](SubmissionSource&) -> int { throw SourceUnavailable("gone"); }), SourceUnavailable);
    CHECK_THROWS_WITH(pool.read(all_ids), "gone");
    CHECK(asked == 2);
}

TEST_CASE("a forked child opens a source of its own and leaves its parent's alone") {
    School school;
    school.add_assignment(1);
    int opened = 0;
    SourcePool pool([&] {
        ++opened;
        return open_source(school.path());
    });
    const auto load = [](SubmissionSource& source) { return source.load(1).has_value(); };
    CHECK(pool.read(load));
    auto child = test::ChildProcess::start([&](test::Channel&) {
        if (!pool.read(load)) return 1;
        return opened == 2 ? 0 : 2;
    });
    CHECK(child.wait().exited_with(0));
    CHECK(pool.read(load));
    CHECK(opened == 1);
}

TEST_CASE("a source whose path leads to another file says so, and the pool opens that one") {
    School school, other;
    school.add_assignment(1);
    const std::string whole = other.path() + ".whole";
    other.sql("VACUUM INTO '" + whole + "'");
    SourcePool pool([&school] { return open_source(school.path()); });
    const auto is_known = [](SubmissionSource& source) { return source.ownership(1).has_value(); };
    REQUIRE(pool.read(is_known));
    for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(school.path() + end);
    std::filesystem::rename(whole, school.path());
    CHECK_FALSE(pool.read(is_known));
}

TEST_CASE("a pool that is bounded has no more sources open than that, and readers wait for their turn") {
    School school;
    school.add_assignment(1);
    std::atomic<int> opened{0}, reading{0}, most{0};
    SourcePool pool(
        [&] {
            ++opened;
            return open_source(school.path());
        },
        2);
    std::vector<std::jthread> readers;
    for (int i = 0; i < 8; ++i)
        readers.emplace_back([&] {
            for (int n = 0; n < 50; ++n)
                pool.read([&](SubmissionSource& source) {
                    const int now = ++reading;
                    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {}
                    const bool is_known = source.ownership(1).has_value();
                    std::this_thread::yield();
                    --reading;
                    return is_known;
                });
        });
    readers.clear();
    CHECK(most <= 2);
    CHECK(opened <= 2);
}
