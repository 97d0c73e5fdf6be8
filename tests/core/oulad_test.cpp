// The whole way from CSV to document, on real data, against an independent implementation.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>

#include "core/analytics.hpp"
#include "core/csv_import.hpp"
#include "core/stats_document.hpp"
#include "core/submission_source.hpp"
#include "tests/core/school.hpp"

using namespace larder;
namespace json = boost::json;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

ImportFiles files_in(const std::string& oulad) {
    return {oulad + "/oulad_assignments.csv", oulad + "/oulad_submissions.csv.gz"};
}

json::object document_of(SubmissionSource& source, AssignmentId id) {
    const auto record = source.load(id);
    REQUIRE(record);
    return json::parse(to_document(record->assignment, analyze(record->assignment, record->submissions), {}, {}))
        .as_object();
}

/// Every difference, as `path: expected ... got ...`.
void compare(const std::string& path, const json::value& expected, const json::value& got,
             std::vector<std::string>& differences) {
    if (expected.is_object() && got.is_object()) {
        if (expected.as_object().size() != got.as_object().size()) differences.push_back(path + ": other fields");
        for (const auto& field : expected.as_object()) {
            const json::value* there = got.as_object().if_contains(field.key());
            const std::string name = path + "." + std::string(field.key());
            if (there == nullptr)
                differences.push_back(name + ": missing");
            else
                compare(name, field.value(), *there, differences);
        }
    } else if (expected.is_array() && got.is_array() && expected.as_array().size() == got.as_array().size()) {
        for (std::size_t i = 0; i < expected.as_array().size(); ++i)
            compare(path + "[" + std::to_string(i) + "]", expected.as_array()[i], got.as_array()[i], differences);
    } else if (json::serialize(expected) != json::serialize(got)) {
        differences.push_back(path + ": expected " + json::serialize(expected) + ", got " + json::serialize(got));
    }
}

}  // namespace

TEST_CASE("statistics of real assignments equal those of an independent implementation, field by field") {
    const auto oulad = test::oulad_directory();
    if (!oulad) {
        WARN("skipped: no OULAD data beside the checkout; name their folder by LARDER_SHARED");
        return;
    }
    const test::ScopedDirectory directory;
    const ImportCounts counts = import_csv(directory.file("oulad.db"), files_in(*oulad));
    CHECK(counts.assignments == 206);
    CHECK(counts.submissions == 173'912);
    const auto source = open_source(directory.file("oulad.db"));

    std::ifstream lines(*oulad + "/oulad_expected.jsonl");
    int compared = 0;
    for (std::string line; std::getline(lines, line); ++compared) {
        const json::object expected = json::parse(line).as_object();
        json::object got = document_of(*source, expected.at("assignment_id").as_int64());
        CHECK(got.erase("generated_at") == 1);
        CHECK(got.erase("cached_at") == 1);
        std::vector<std::string> differences;
        compare("assignment " + json::serialize(expected.at("assignment_id")), expected, got, differences);
        for (const std::string& difference : differences) FAIL_CHECK(difference);
    }
    CHECK(compared == 74);
}

TEST_CASE("figures: import of OULAD, and one document from SQLite", "[.bench]") {
    const auto oulad = test::oulad_directory();
    REQUIRE(oulad);
    const test::ScopedDirectory directory;
    auto start = std::chrono::steady_clock::now();
    import_csv(directory.file("oulad.db"), files_in(*oulad));
    std::cout << "import of 173,912 rows: " << seconds_since(start) << " s\n";

    const auto source = open_source(directory.file("oulad.db"));
    double longest = 0, longest_cpu = 0, sum = 0;
    const auto ids = source->all_ids();
    for (const AssignmentId id : ids) {
        start = std::chrono::steady_clock::now();
        const std::clock_t cpu_start = std::clock();
        const auto record = source->load(id);
        REQUIRE_FALSE(
            to_document(record->assignment, analyze(record->assignment, record->submissions), {}, {}).empty());
        sum += seconds_since(start);
        longest = std::max(longest, seconds_since(start));
        longest_cpu = std::max(longest_cpu, static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
    }
    std::cout << "one document: mean " << 1e3 * sum / static_cast<double>(ids.size()) << " ms, longest "
              << 1e3 * longest << " ms, longest on the CPU " << 1e3 * longest_cpu << " ms\n";
}
