#include "core/analytics.hpp"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <vector>

namespace larder {
namespace {

namespace mp = boost::multiprecision;

constexpr std::int64_t scaled_per_hundredth = points_scale / 100;

/// What numerator / denominator ten-thousandths of a point are in hundredths.
Hundredths hundredths_of(int128 numerator, std::int64_t denominator) {
    return Hundredths{round_half_even(numerator, int128{denominator} * scaled_per_hundredth)};
}

std::vector<std::int64_t> sorted_scores(std::span<const Submission> submissions) {
    std::vector<std::int64_t> scores;
    scores.reserve(submissions.size());
    for (const Submission& submission : submissions)
        if (submission.graded && submission.score) scores.push_back(submission.score->ten_thousandths);
    std::sort(scores.begin(), scores.end());
    return scores;
}

Hundredths mean_of(const std::vector<std::int64_t>& scores) {
    int128 sum = 0;
    for (const std::int64_t score : scores) sum += score;
    return hundredths_of(sum, static_cast<std::int64_t>(scores.size()));
}

std::int64_t mode_of(const std::vector<std::int64_t>& sorted) {
    std::int64_t mode = sorted.front();
    std::ptrdiff_t longest = 0;
    for (auto run = sorted.begin(); run != sorted.end();) {
        const auto end = std::upper_bound(run, sorted.end(), *run);
        if (end - run > longest) {
            longest = end - run;
            mode = *run;
        }
        run = end;
    }
    return mode;
}

/// The quarter-th quartile by type 7: at position (n - 1) * quarter / 4, between two order statistics.
Hundredths quartile(const std::vector<std::int64_t>& sorted, std::size_t quarter) {
    const std::size_t position = (sorted.size() - 1) * quarter;
    const std::size_t below = position / 4;
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const int128 weight = static_cast<std::int64_t>(position % 4);
    const int128 quarters = 4 * int128{sorted[below]} + weight * (int128{sorted[above]} - sorted[below]);
    return hundredths_of(quarters, 4);
}

/// round_half_even(sqrt(numerator / denominator)), decided on the exact value: with k = floor of the root, the root
/// lies above k + 1/2 iff 4 * numerator > (2k + 1)^2 * denominator.
std::int64_t rounded_root(const mp::int256_t& numerator, const mp::int256_t& denominator) {
    const mp::int256_t floor = mp::sqrt(mp::int256_t(numerator / denominator));
    const mp::int256_t odd = 2 * floor + 1;
    const int side = mp::int256_t(4 * numerator).compare(odd * odd * denominator);
    const bool up = side > 0 || (side == 0 && floor % 2 != 0);
    return static_cast<std::int64_t>(floor) + (up ? 1 : 0);
}

/// With n scores x in ten-thousandths the sample variance in square hundredths is
/// (n * sum(x^2) - sum(x)^2) / (n * (n - 1) * 100^2).
Hundredths standard_deviation(const std::vector<std::int64_t>& scores) {
    mp::int256_t sum = 0;
    mp::int256_t squares = 0;
    for (const std::int64_t score : scores) {
        sum += score;
        squares += mp::int256_t(score) * score;
    }
    const mp::int256_t n = scores.size();
    const mp::int256_t scale = scaled_per_hundredth * scaled_per_hundredth;
    return Hundredths{rounded_root(n * squares - sum * sum, n * (n - 1) * scale)};
}

ScoreStatistics score_statistics(std::span<const Submission> submissions) {
    const std::vector<std::int64_t> sorted = sorted_scores(submissions);
    ScoreStatistics result;
    result.sample_size = static_cast<std::int64_t>(sorted.size());
    if (sorted.empty()) return result;
    result.mean = mean_of(sorted);
    result.mode = hundredths_of(mode_of(sorted), 1);
    result.min = hundredths_of(sorted.front(), 1);
    result.max = hundredths_of(sorted.back(), 1);
    result.q1 = quartile(sorted, 1);
    result.q2 = quartile(sorted, 2);
    result.q3 = quartile(sorted, 3);
    result.median = result.q2;
    if (sorted.size() >= 2) result.std_dev = standard_deviation(sorted);
    return result;
}

struct Threshold {
    std::string_view grade, label;
    int tenths;  // of the maximum, at least
};
constexpr std::array<Threshold, 5> thresholds{{{"A", "Excellent (90-100%)", 9},
                                               {"B", "Good (80-89%)", 8},
                                               {"C", "Satisfactory (70-79%)", 7},
                                               {"D", "Passing (60-69%)", 6},
                                               {"F", "Failing (<60%)", 0}}};
constexpr std::size_t failing = thresholds.size() - 1;

/// score / max >= tenths / 10, without the division. A maximum of 0 counts as 0 %.
std::size_t grade_of(Points score, Points max_score) {
    const std::int64_t sign = max_score.ten_thousandths < 0 ? -1 : 1;
    const std::int64_t points = sign * score.ten_thousandths;
    const std::int64_t maximum = sign * max_score.ten_thousandths;
    if (maximum == 0) return failing;
    std::size_t grade = 0;
    while (grade < failing && 10 * points < thresholds[grade].tenths * maximum) ++grade;
    return grade;
}

Distribution distribution_of(std::span<const Submission> submissions) {
    Distribution result;
    for (std::size_t i = 0; i < thresholds.size(); ++i) {
        result.buckets[i].grade = thresholds[i].grade;
        result.buckets[i].label = thresholds[i].label;
    }
    for (const Submission& submission : submissions) {
        if (!submission.graded || !submission.score || !submission.max_score) continue;
        ++result.buckets[grade_of(*submission.score, *submission.max_score)].count;
        ++result.total;
    }
    for (GradeBucket& bucket : result.buckets) bucket.percentage = percentage(bucket.count, result.total);
    return result;
}

SubmissionRates rates_of(const Assignment& assignment, std::span<const Submission> submissions) {
    SubmissionRates result;
    result.assigned_count = assignment.assigned_count;
    result.submitted_count = static_cast<std::int64_t>(submissions.size());
    for (const Submission& submission : submissions) {
        if (submission.graded) ++result.graded_count;
        if (submission.late) ++result.late_count;
    }
    result.ungraded_count = result.submitted_count - result.graded_count;
    result.submission_rate = percentage(result.submitted_count, result.assigned_count);
    result.grading_rate = percentage(result.graded_count, result.submitted_count);
    result.late_rate = percentage(result.late_count, result.submitted_count);
    return result;
}

/// The mean time from handing in to grading, over the submissions that `counts` picks.
template <class Predicate>
std::optional<Hundredths> mean_delay(std::span<const Submission> submissions, Predicate counts) {
    int128 sum_us = 0;
    std::int64_t rows = 0;
    for (const Submission& submission : submissions) {
        if (!submission.submitted_at || !submission.graded_at || !counts(submission)) continue;
        sum_us += (*submission.graded_at - *submission.submitted_at).count();
        ++rows;
    }
    if (rows == 0) return std::nullopt;
    constexpr int us_per_hundredth_s = 10'000;
    return Hundredths{round_half_even(sum_us, int128{rows} * us_per_hundredth_s)};
}

}  // namespace

AssignmentStatistics analyze(const Assignment& assignment, std::span<const Submission> submissions) {
    AssignmentStatistics result;
    result.scores = score_statistics(submissions);
    result.distribution = distribution_of(submissions);
    result.rates = rates_of(assignment, submissions);
    result.times.avg_time_to_grade = mean_delay(submissions, [](const Submission& row) { return row.graded; });
    result.times.avg_response_time = mean_delay(submissions, [](const Submission&) { return true; });
    return result;
}

}  // namespace larder
