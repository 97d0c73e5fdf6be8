#include "core/csv_import.hpp"

#include <zlib.h>

#include <catch2/catch.hpp>

#include "core/submission_source.hpp"
#include "tests/core/school.hpp"

using namespace larder;
using larder::test::School;

namespace {

const std::string assignment_header = "assignment_id,title,author_id,max_score,due_at,assigned_count\n";
const std::string submission_header =
    "submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at\n";

struct Desk : School {
    ImportCounts import(const std::string& assignments, const std::string& submissions) {
        ImportFiles files;
        if (!assignments.empty()) files.assignments = test::write_file(directory(), "a.csv", assignments);
        if (!submissions.empty()) files.submissions = test::write_file(directory(), "s.csv", submissions);
        return import_csv(path(), files);
    }
    CsvError error_of(const std::string& assignments, const std::string& submissions) {
        try {
            import(assignments, submissions);
        } catch (const CsvError& error) {
            return error;
        }
        FAIL("the import was taken");
        throw 0;
    }
    /// Where the one bad submission row is, as `line:column`.
    std::string place_of(const std::string& row) {
        const CsvError error = error_of(assignment_header + "1,Essay,7,100,,4\n", submission_header + row);
        CHECK(error.file == directory().file("s.csv"));
        CHECK(std::string(error.what()).find("s.csv, line " + std::to_string(error.line)) != std::string::npos);
        CHECK(number("SELECT count(*) FROM assignments") == 0);
        CHECK(number("SELECT count(*) FROM outbox") == 0);
        return std::to_string(error.line) + ":" + std::to_string(error.column);
    }
};

std::string good_row(const std::string& id = "10") { return id + ",1,5,graded,78.25,100,0,2024-01-01T00:00:00Z,\n"; }

void write_gzip(const std::string& path, const std::string& content) {
    gzFile file = ::gzopen(path.c_str(), "wb");
    REQUIRE(file != nullptr);
    ::gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    ::gzclose(file);
}

}  // namespace

TEST_CASE("rows of both files are imported, columns in any order, empty fields as null") {
    Desk desk;
    const ImportCounts counts = desk.import(
        "\xEF\xBB\xBF"
        "title,assignment_id,course,author_id,max_score,due_at,assigned_count\r\n"
        "\"Essay, \"\"first\"\"\nversion\",1,Law,7,99.5,2024-01-01T00:00:00Z,\r\n\r\n"
        ",2,,,,,3",
        submission_header + good_row("10") + "11,2,,submitted,,,true,,\n");
    CHECK(counts.assignments == 2);
    CHECK(counts.submissions == 2);
    CHECK(desk.text("SELECT title FROM assignments WHERE assignment_id = 1") == "Essay, \"first\"\nversion");
    CHECK(
        desk.text("SELECT course || max_score || due_at || assigned_count FROM assignments WHERE assignment_id = 1") ==
        "Law99.52024-01-01T00:00:00Z0");
    CHECK(desk.number("SELECT title IS NULL AND author_id IS NULL AND max_score IS NULL AND created_at IS NULL "
                      "FROM assignments WHERE assignment_id = 2") == 1);
    CHECK(desk.text("SELECT score || status || is_late FROM submissions WHERE submission_id = 10") == "78.25graded0");
    CHECK(desk.number(
              "SELECT score IS NULL AND student_id IS NULL AND is_late FROM submissions WHERE submission_id = 11") ==
          1);
}

TEST_CASE("a gzip file is read like a plain one, and a shortened one is an error") {
    Desk desk;
    desk.add_assignment(1);
    desk.add_assignment(2);
    std::string rows = submission_header;
    for (int id = 1; id <= 5'000; ++id) rows += good_row(std::to_string(id));
    const std::string path = desk.directory().file("s.csv.gz");
    write_gzip(path, rows);
    CHECK(import_csv(desk.path(), {"", path}).submissions == 5'000);

    desk.sql("DELETE FROM submissions");
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    CHECK_THROWS_AS(import_csv(desk.path(), {"", path}), CsvError);
    CHECK(desk.number("SELECT count(*) FROM submissions") == 0);
}

TEST_CASE("a known id replaces the old row, in the database and in the file") {
    Desk desk;
    desk.import(assignment_header + "1,Old,7,100,,4\n2,Other,7,100,,4\n", submission_header + good_row());
    desk.import(assignment_header + "1,New,8,50,,5\n", submission_header + good_row("9") + "9,2,5,graded,1,100,0,,\n");
    CHECK(desk.text("SELECT title || author_id FROM assignments WHERE assignment_id = 1") == "New8");
    CHECK(desk.number("SELECT count(*) FROM assignments") == 2);
    CHECK(desk.number("SELECT assignment_id FROM submissions WHERE submission_id = 9") == 2);
}

TEST_CASE("flags are 0, 1, true, false and empty") {
    Desk desk;
    desk.add_assignment(1);
    std::string rows = submission_header;
    int id = 0;
    for (const char* flag : {"0", "1", "true", "false", "", "True", "FALSE"})
        rows += std::to_string(++id) + ",1,,graded,1,1," + flag + ",,\n";
    desk.import("", rows);
    CHECK(desk.text("SELECT group_concat(is_late, '') FROM (SELECT is_late FROM submissions ORDER BY submission_id)") ==
          "0110010");
}

TEST_CASE("a bad field is reported with file, line and column, and nothing is imported") {
    Desk desk;
    CHECK(desk.place_of(good_row() + "x,1,5,graded,1,1,0,,\n") == "3:1");
    CHECK(desk.place_of(",1,5,graded,1,1,0,,\n") == "2:1");
    CHECK(desk.place_of("0,1,5,graded,1,1,0,,\n") == "2:1");
    CHECK(desk.place_of("99999999999999999999,1,5,graded,1,1,0,,\n") == "2:1");
    CHECK(desk.place_of("10,2,5,graded,1,1,0,,\n") == "2:2");
    CHECK(desk.place_of("10,1,5.5,graded,1,1,0,,\n") == "2:3");
    CHECK(desk.place_of("10,1,5,gra\xFF"
                        "ded,1,1,0,,\n") == "2:4");
    CHECK(desk.place_of("10,1,5,graded,1.23456,1,0,,\n") == "2:5");
    CHECK(desk.place_of("10,1,5,graded,good,1,0,,\n") == "2:5");
    CHECK(desk.place_of("10,1,5,graded,1,-1,0,,\n") == "2:6");
    CHECK(desk.place_of("10,1,5,graded,1,1,yes,,\n") == "2:7");
    CHECK(desk.place_of("10,1,5,graded,1,1,0,2024-01-01,\n") == "2:8");
    CHECK(desk.place_of("10,1,5,graded,1,1,0,,2024-01-01T00:00:00\n") == "2:9");
}

TEST_CASE("a broken line is reported with file, line and column, and nothing is imported") {
    Desk desk;
    CHECK(desk.place_of("10,1,5,graded,1,1,0,\n") == "2:8");
    CHECK(desk.place_of("10,1,5,graded,1,1,0,,,\n") == "2:10");
    CHECK(desk.place_of(good_row() + "\n\r\n11,1,5,\"graded,1,1,0,,\n\n\n") == "5:4");
    CHECK(desk.place_of("10,1,5,\"graded\"x,1,1,0,,\n") == "2:4");
    CHECK(desk.place_of("10,1,5,gra\"ded,1,1,0,,\n") == "2:4");
    CHECK(desk.place_of("10,1,5,graded\r,1,1,0,,\n") == "2:4");
    CHECK(desk.place_of("10,1,5,\"two\nlines\",1,1,no,,\n") == "3:7");
    CHECK(desk.place_of(std::string("10,1,5,gra") + '\0' + "ded,1,1,0,,\n") == "2:4");
    CHECK(desk.place_of("10,1,5,\"" + std::string(CsvReader::max_record_bytes, 'x') + "\",1,1,0,,\n") == "2:4");
}

TEST_CASE("a header must name every column once and no other") {
    Desk desk;
    const auto place_in = [&](const std::string& header) {
        const CsvError error = desk.error_of("", header + "\n" + good_row());
        return std::to_string(error.line) + ":" + std::to_string(error.column);
    };
    const std::string names = submission_header.substr(0, submission_header.size() - 1);
    CHECK(place_in(names.substr(0, names.rfind(','))) == "1:0");
    CHECK(place_in(names + ",colour") == "1:10");
    CHECK(place_in(names + ",score") == "1:10");
    CHECK(place_in("Submission_id" + names.substr(13)) == "1:1");
}

TEST_CASE("a file that is absent or empty is an error") {
    Desk desk;
    CHECK_THROWS_AS(import_csv(desk.path(), {desk.directory().file("none.csv"), ""}), CsvError);
    CHECK_THROWS_AS(import_csv(desk.path(), {test::write_file(desk.directory(), "empty.csv", ""), ""}), CsvError);
    CHECK_THROWS_AS(import_csv(desk.path(), {desk.directory().file("."), ""}), CsvError);
    CHECK_THROWS_AS(import_csv("/nonexistent/school.db", {}), SourceError);
}

TEST_CASE("an import leaves one row an assignment in the outbox, numbered on without a gap") {
    Desk desk;
    desk.import(assignment_header + "1,A,7,100,,4\n2,B,7,100,,4\n3,C,7,100,,4\n",
                submission_header + good_row("10") + good_row("11"));
    CHECK(desk.text("SELECT group_concat(seq || ':' || assignment_id) FROM outbox") == "1:1,2:2,3:3");
    CHECK(desk.number("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'") == 3);

    desk.sql("DELETE FROM outbox WHERE assignment_id = 3");
    desk.import("", submission_header + good_row("10") + good_row("12"));
    CHECK(desk.text("SELECT group_concat(seq || ':' || assignment_id) FROM outbox") == "2:2,4:1");
}

TEST_CASE("an import that moves a submission names the assignment it came from") {
    Desk desk;
    desk.import(assignment_header + "1,A,7,100,,4\n2,B,7,100,,4\n", submission_header + good_row("10"));
    desk.take_outbox();
    desk.import("", submission_header + "10,2,5,graded,1,1,0,,\n");
    CHECK(desk.take_outbox() == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("progress is told for each file, to its end") {
    Desk desk;
    std::vector<ImportProgress> told;
    ImportFiles files{test::write_file(desk.directory(), "a.csv", assignment_header + "1,A,7,100,,4\n"),
                      test::write_file(desk.directory(), "s.csv", submission_header + good_row())};
    import_csv(desk.path(), files, [&](const ImportProgress& progress) { told.push_back(progress); });
    REQUIRE(told.size() == 2);
    CHECK(told[0].file == files.assignments);
    CHECK(told[1].rows == 1);
    CHECK(told[1].bytes_read == told[1].bytes_total);
    CHECK(told[1].bytes_total == std::filesystem::file_size(files.submissions));
}
