#include "core/analytics.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace larder;

namespace {

Submission graded(const char* score, const char* max_score = "100") {
    Submission submission;
    submission.graded = true;
    submission.score = parse_points(score);
    submission.max_score = parse_points(max_score);
    return submission;
}

std::vector<Submission> graded_all(std::initializer_list<const char*> scores) {
    std::vector<Submission> submissions;
    for (const char* score : scores) submissions.push_back(graded(score));
    return submissions;
}

AssignmentStatistics statistics_of(const std::vector<Submission>& submissions, std::int64_t assigned_count = 10) {
    Assignment assignment;
    assignment.assigned_count = assigned_count;
    return analyze(assignment, submissions);
}

std::string shown(const std::optional<Hundredths>& number) { return number ? to_text(*number) : "null"; }

std::string grade_of(const char* score, const char* max_score) {
    for (const GradeBucket& bucket : statistics_of({graded(score, max_score)}).distribution.buckets)
        if (bucket.count == 1) return std::string(bucket.grade);
    return "none";
}

Timestamp time_at(const char* text) {
    const auto time = parse_timestamp(text);
    REQUIRE(time);
    return *time;
}

}  // namespace

TEST_CASE("an assignment without submissions has empty statistics and five empty buckets") {
    const AssignmentStatistics all = statistics_of({}, 0);
    for (const auto& number : {all.scores.mean, all.scores.median, all.scores.mode, all.scores.std_dev, all.scores.min,
                               all.scores.max, all.scores.q1, all.scores.q2, all.scores.q3})
        CHECK_FALSE(number);
    CHECK(all.scores.sample_size == 0);
    CHECK(all.distribution.total == 0);
    for (const GradeBucket& bucket : all.distribution.buckets) {
        CHECK(bucket.count == 0);
        CHECK(bucket.percentage == Hundredths{0});
    }
    CHECK(all.rates.submission_rate == Hundredths{0});
    CHECK(all.rates.grading_rate == Hundredths{0});
    CHECK(all.rates.late_rate == Hundredths{0});
    CHECK_FALSE(all.times.avg_time_to_grade);
    CHECK_FALSE(all.times.avg_response_time);
}

TEST_CASE("one score is every statistic but the standard deviation") {
    const ScoreStatistics scores = statistics_of(graded_all({"72.5"})).scores;
    for (const auto& number :
         {scores.mean, scores.median, scores.mode, scores.min, scores.max, scores.q1, scores.q2, scores.q3})
        CHECK(shown(number) == "72.5");
    CHECK(shown(scores.std_dev) == "null");
    CHECK(scores.sample_size == 1);
}

TEST_CASE("statistics of eight scores are those computed by hand") {
    // 2 4 4 4 5 5 7 9: mean 5, squared deviations 32, sample variance 32/7.
    const ScoreStatistics scores = statistics_of(graded_all({"9", "4", "2", "5", "4", "7", "4", "5"})).scores;
    CHECK(shown(scores.mean) == "5.0");
    CHECK(shown(scores.std_dev) == "2.14");
    CHECK(shown(scores.median) == "4.5");
    CHECK(shown(scores.mode) == "4.0");
    CHECK(shown(scores.q1) == "4.0");
    CHECK(shown(scores.q3) == "5.5");
    CHECK(shown(scores.min) == "2.0");
    CHECK(shown(scores.max) == "9.0");
    CHECK(scores.sample_size == 8);
}

TEST_CASE("quartiles interpolate linearly between order statistics") {
    const ScoreStatistics four = statistics_of(graded_all({"1", "2", "3", "4"})).scores;
    CHECK(shown(four.q1) == "1.75");
    CHECK(shown(four.q2) == "2.5");
    CHECK(shown(four.q3) == "3.25");
    const ScoreStatistics two = statistics_of(graded_all({"10", "20"})).scores;
    CHECK(shown(two.q1) == "12.5");
    CHECK(shown(two.q3) == "17.5");
    CHECK(two.q2 == two.median);
}

TEST_CASE("of several most frequent scores the mode is the smallest") {
    CHECK(shown(statistics_of(graded_all({"9", "3", "9", "3", "5"})).scores.mode) == "3.0");
    CHECK(shown(statistics_of(graded_all({"5", "4", "3"})).scores.mode) == "3.0");
    CHECK(shown(statistics_of(graded_all({"5", "8", "8", "3"})).scores.mode) == "8.0");
}

TEST_CASE("numbers are rounded once, on the exact value, halves to even") {
    CHECK(shown(statistics_of(graded_all({"0.125"})).scores.mean) == "0.12");
    CHECK(shown(statistics_of(graded_all({"0.135"})).scores.mean) == "0.14");
    CHECK(shown(statistics_of(graded_all({"-0.125"})).scores.mean) == "-0.12");
    // 2.675 is below itself as a double, and would become 2.67.
    CHECK(shown(statistics_of(graded_all({"2.675"})).scores.mean) == "2.68");
    CHECK(shown(statistics_of(graded_all({"1.005", "1.005"})).scores.mean) == "1.0");
    CHECK(shown(statistics_of(graded_all({"0", "0.01"})).scores.mean) == "0.0");
    CHECK(shown(statistics_of(graded_all({"0.01", "0.02"})).scores.mean) == "0.02");
    // Rounding the quarter point to four places first would give 0.01.
    CHECK(shown(statistics_of(graded_all({"0.0050", "0.0051"})).scores.q1) == "0.01");
}

TEST_CASE("the standard deviation is rounded on the exact root") {
    // Two scores d apart: d / sqrt(2). Three equally spaced by d: exactly d.
    CHECK(shown(statistics_of(graded_all({"0", "1"})).scores.std_dev) == "0.71");
    CHECK(shown(statistics_of(graded_all({"0", "0.125", "0.25"})).scores.std_dev) == "0.12");
    CHECK(shown(statistics_of(graded_all({"0", "0.135", "0.27"})).scores.std_dev) == "0.14");
    CHECK(shown(statistics_of(graded_all({"5", "5", "5"})).scores.std_dev) == "0.0");
    // The mean is 1e8 + 1/3: squares of doubles would lose every digit of the deviation.
    CHECK(shown(statistics_of(graded_all({"100000000", "100000000", "100000001"})).scores.std_dev) == "0.58");
    CHECK(shown(statistics_of(graded_all({"999999999.9999", "-999999999.9999"})).scores.std_dev) == "1414213562.37");
}

TEST_CASE("only graded submissions with a score are counted into statistics and distribution") {
    std::vector<Submission> submissions = graded_all({"50"});
    submissions.push_back(graded("90"));
    submissions.back().graded = false;
    submissions.push_back(graded("90"));
    submissions.back().score.reset();
    const AssignmentStatistics all = statistics_of(submissions);
    CHECK(all.scores.sample_size == 1);
    CHECK(shown(all.scores.mean) == "50.0");
    CHECK(all.distribution.total == 1);
    CHECK(all.rates.submitted_count == 3);
    CHECK(all.rates.graded_count == 2);
    CHECK(all.rates.ungraded_count == 1);
}

TEST_CASE("grades begin exactly at their percentage, and no score falls between two of them") {
    CHECK(grade_of("90", "100") == "A");
    CHECK(grade_of("89.9999", "100") == "B");
    CHECK(grade_of("89.5", "100") == "B");
    CHECK(grade_of("80", "100") == "B");
    CHECK(grade_of("79.9999", "100") == "C");
    CHECK(grade_of("70", "100") == "C");
    CHECK(grade_of("69.9999", "100") == "D");
    CHECK(grade_of("60", "100") == "D");
    CHECK(grade_of("59.9999", "100") == "F");
    CHECK(grade_of("0", "100") == "F");
    CHECK(grade_of("0.27", "0.3") == "A");
    CHECK(grade_of("899999999.9999", "999999999.9999") == "B");
}

TEST_CASE("a score above the maximum is an A, one below zero an F") {
    CHECK(grade_of("130", "100") == "A");
    CHECK(grade_of("-5", "100") == "F");
    CHECK(shown(statistics_of(graded_all({"130"})).scores.max) == "130.0");
}

TEST_CASE("a maximum of zero counts as 0 percent, a missing one is left out of the distribution") {
    CHECK(grade_of("5", "0") == "F");
    CHECK(grade_of("0", "0") == "F");
    CHECK(grade_of("95", "") == "none");
    const AssignmentStatistics all = statistics_of({graded("95", ""), graded("95")});
    CHECK(all.scores.sample_size == 2);
    CHECK(all.distribution.total == 1);
    CHECK(all.distribution.buckets[0].percentage == Hundredths{10'000});
}

TEST_CASE("each bucket has its share of all graded") {
    const Distribution distribution = statistics_of(graded_all({"95", "85", "85", "10", "10", "10"})).distribution;
    CHECK(distribution.total == 6);
    CHECK(distribution.buckets[0].percentage == Hundredths{1'667});
    CHECK(distribution.buckets[1].percentage == Hundredths{3'333});
    CHECK(distribution.buckets[2].percentage == Hundredths{0});
    CHECK(distribution.buckets[4].percentage == Hundredths{5'000});
    CHECK(distribution.buckets[4].label == "Failing (<60%)");
}

TEST_CASE("rates are percentages of the assigned and of the submitted, and may exceed 100") {
    std::vector<Submission> submissions = graded_all({"50", "60", "70"});
    submissions[0].late = true;
    submissions[1].graded = false;
    submissions[1].late = true;
    const SubmissionRates rates = statistics_of(submissions, 2).rates;
    CHECK(rates.assigned_count == 2);
    CHECK(rates.late_count == 2);
    CHECK(rates.submission_rate == Hundredths{15'000});
    CHECK(rates.grading_rate == Hundredths{6'667});
    CHECK(rates.late_rate == Hundredths{6'667});
    CHECK(statistics_of(submissions, 0).rates.submission_rate == Hundredths{0});
}

TEST_CASE("times to grade are means over the rows that have both times") {
    std::vector<Submission> submissions = graded_all({"1", "2", "3", "4"});
    for (Submission& submission : submissions) submission.submitted_at = time_at("2024-01-01T00:00:00Z");
    submissions[0].graded_at = time_at("2024-01-01T00:01:40Z");
    submissions[1].graded_at = time_at("2024-01-01T00:00:00.250Z");
    submissions[2].graded_at = time_at("2024-01-01T00:00:00.0Z");
    submissions[2].graded = false;
    submissions[3].graded_at.reset();
    const TimeStatistics times = statistics_of(submissions).times;
    CHECK(shown(times.avg_time_to_grade) == "50.12");
    CHECK(shown(times.avg_response_time) == "33.42");

    submissions[0].submitted_at.reset();
    submissions[1].submitted_at.reset();
    const TimeStatistics none_graded = statistics_of(submissions).times;
    CHECK(shown(none_graded.avg_time_to_grade) == "null");
    CHECK(shown(none_graded.avg_response_time) == "0.0");
}
