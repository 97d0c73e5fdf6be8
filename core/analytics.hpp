// Analytics: the statistics of one assignment, as a pure function of its submissions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/assignment.hpp"
#include "core/rounding.hpp"

namespace larder {

/// Over the submissions that are graded and have a score, in points. All empty where there is none.
struct ScoreStatistics {
    std::optional<Hundredths> mean, median;
    std::optional<Hundredths> mode;     ///< the most frequent score, the smallest of several
    std::optional<Hundredths> std_dev;  ///< of a sample (n - 1); empty for n < 2
    std::optional<Hundredths> min, max;
    std::optional<Hundredths> q1, q2, q3;  ///< Hyndman and Fan, type 7
    std::int64_t sample_size = 0;
};

struct GradeBucket {
    std::string_view grade;  ///< A, B, C, D, F
    std::string_view label;
    std::int64_t count = 0;
    Hundredths percentage;
};

/// Grades by percent of the row's own maximum, compared exactly; rows without a maximum are left out.
struct Distribution {
    std::array<GradeBucket, 5> buckets;  ///< A first
    std::int64_t total = 0;
};

/// Rates in percent, 0.0 where the divisor is 0.
struct SubmissionRates {
    std::int64_t assigned_count = 0, submitted_count = 0, graded_count = 0, late_count = 0;
    std::int64_t ungraded_count = 0;  ///< every status other than `graded`
    Hundredths submission_rate;       ///< of the assigned; may exceed 100
    Hundredths grading_rate, late_rate;
};

/// Means in seconds, over the rows that have both times; empty where there is none.
struct TimeStatistics {
    std::optional<Hundredths> avg_time_to_grade;  ///< graded rows
    std::optional<Hundredths> avg_response_time;  ///< rows of any status
};

struct AssignmentStatistics {
    ScoreStatistics scores;
    Distribution distribution;
    SubmissionRates rates;
    TimeStatistics times;
};

/// Every number is the exact one, rounded once. Threads: pure.
AssignmentStatistics analyze(const Assignment& assignment, std::span<const Submission> submissions);

}  // namespace larder
