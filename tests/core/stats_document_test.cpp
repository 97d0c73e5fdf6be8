#include "core/stats_document.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include "core/hit_rate.hpp"
#include "core/warmer.hpp"

using namespace larder;

namespace {

std::string document_of(Assignment assignment, const std::vector<Submission>& submissions) {
    const auto generated_at = parse_timestamp("2024-05-01T10:00:00.5Z");
    const auto cached_at = parse_timestamp("2024-05-01T10:00:00.625Z");
    return to_document(assignment, analyze(assignment, submissions), *generated_at, *cached_at);
}

}  // namespace

TEST_CASE("a document has the contract's fields in their order") {
    Assignment assignment;
    assignment.id = 123;
    assignment.title = "Essay";
    assignment.max_score = Points{1'000'000};
    assignment.assigned_count = 2;
    Submission submission;
    submission.graded = true;
    submission.late = true;
    submission.score = Points{895'000};
    submission.max_score = Points{1'000'000};
    const std::string expected =
        R"-({"assignment_id":123,"assignment_title":"Essay","max_score":100.0,)-"
        R"-("generated_at":"2024-05-01T10:00:00.500Z","cached_at":"2024-05-01T10:00:00.625Z",)-"
        R"-("statistics":{"mean":89.5,"median":89.5,"mode":89.5,"std_dev":null,"min":89.5,"max":89.5,)-"
        R"-("q1":89.5,"q2":89.5,"q3":89.5,"sample_size":1},)-"
        R"-("distribution":{"buckets":{"A":{"label":"Excellent (90-100%)","count":0,"percentage":0.0},)-"
        R"-("B":{"label":"Good (80-89%)","count":1,"percentage":100.0},)-"
        R"-("C":{"label":"Satisfactory (70-79%)","count":0,"percentage":0.0},)-"
        R"-("D":{"label":"Passing (60-69%)","count":0,"percentage":0.0},)-"
        R"-("F":{"label":"Failing (<60%)","count":0,"percentage":0.0}},"total":1,)-"
        R"-("pie_chart_data":[{"label":"Good (80-89%)","value":1,"percentage":100.0}]},)-"
        R"-("submission_rate":{"assigned_count":2,"submitted_count":1,"graded_count":1,"late_count":1,)-"
        R"-("submission_rate":50.0,"grading_rate":100.0,"late_rate":100.0},)-"
        R"-("submission_stats":{"count":1,"late_count":1,"ungraded_count":0,"graded_count":1,"assigned_count":2,)-"
        R"-("submission_rate":50.0},"time_stats":{"avg_time_to_grade":null,"avg_response_time":null}})-";
    CHECK(document_of(assignment, {submission}) == expected);
}

TEST_CASE("titles are escaped, whatever their bytes") {
    Assignment assignment;
    assignment.title =
        "\"</script>\n\x01 Gr\xC3\xBC\xC3\x9F"
        "e \xFF";
    const auto document = boost::json::parse(document_of(assignment, {}));
    CHECK(document.at("assignment_title").as_string() ==
          "\"</script>\n\x01 Gr\xC3\xBC\xC3\x9F"
          "e \xEF\xBF\xBD");
}

TEST_CASE("an assignment without title and maximum has nulls there") {
    const auto document = boost::json::parse(document_of(Assignment{}, {}));
    CHECK(document.at("assignment_title").is_null());
    CHECK(document.at("max_score").is_null());
    CHECK(document.at("distribution").at("pie_chart_data").as_array().empty());
}

TEST_CASE("a hit rate is written as the contract says, 0.0 of nothing") {
    HitRate rate;
    rate.hits = 42;
    rate.misses = 8;
    rate.cache_key = "assignment_stats:123";
    rate.ttl = std::chrono::seconds{300};
    CHECK(to_json(rate) == R"-({"hits":42,"misses":8,"total":50,"hit_rate_percentage":84.0,)-"
                           R"-("cache_key":"assignment_stats:123","ttl_seconds":300})-");
    CHECK(HitRate{}.percentage() == Hundredths{0});
}

TEST_CASE("the result of warming is written as the contract says") {
    WarmResult result;
    result.total = 3;
    result.warmed = 2;
    result.failed = 1;
    result.duration = std::chrono::milliseconds{1'255};
    CHECK(to_json(result) == R"-({"total":3,"warmed":2,"failed":1,"async_scheduled":false,"duration_seconds":1.26})-");
}
