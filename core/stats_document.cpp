#include "core/stats_document.hpp"

#include "core/json_writer.hpp"

namespace larder {
namespace {

void write(JsonWriter& json, const ScoreStatistics& scores) {
    json.key("statistics").begin_object();
    json.field("mean", scores.mean).field("median", scores.median).field("mode", scores.mode);
    json.field("std_dev", scores.std_dev).field("min", scores.min).field("max", scores.max);
    json.field("q1", scores.q1).field("q2", scores.q2).field("q3", scores.q3);
    json.field("sample_size", scores.sample_size).end_object();
}

void write(JsonWriter& json, const Distribution& distribution) {
    json.key("distribution").begin_object();
    json.key("buckets").begin_object();
    for (const GradeBucket& bucket : distribution.buckets) {
        json.key(bucket.grade).begin_object();
        json.field("label", bucket.label).field("count", bucket.count).field("percentage", bucket.percentage);
        json.end_object();
    }
    json.end_object().field("total", distribution.total);
    json.key("pie_chart_data").begin_array();
    for (const GradeBucket& bucket : distribution.buckets) {
        if (bucket.count == 0) continue;
        json.begin_object();
        json.field("label", bucket.label).field("value", bucket.count).field("percentage", bucket.percentage);
        json.end_object();
    }
    json.end_array().end_object();
}

void write(JsonWriter& json, const SubmissionRates& rates) {
    json.key("submission_rate").begin_object();
    json.field("assigned_count", rates.assigned_count).field("submitted_count", rates.submitted_count);
    json.field("graded_count", rates.graded_count).field("late_count", rates.late_count);
    json.field("submission_rate", rates.submission_rate).field("grading_rate", rates.grading_rate);
    json.field("late_rate", rates.late_rate).end_object();

    json.key("submission_stats").begin_object();
    json.field("count", rates.submitted_count).field("late_count", rates.late_count);
    json.field("ungraded_count", rates.ungraded_count).field("graded_count", rates.graded_count);
    json.field("assigned_count", rates.assigned_count).field("submission_rate", rates.submission_rate);
    json.end_object();
}

void write(JsonWriter& json, const TimeStatistics& times) {
    json.key("time_stats").begin_object();
    json.field("avg_time_to_grade", times.avg_time_to_grade).field("avg_response_time", times.avg_response_time);
    json.end_object();
}

std::optional<Hundredths> rounded(const std::optional<Points>& points) {
    if (!points) return std::nullopt;
    return Hundredths{round_half_even(points->ten_thousandths, points_scale / 100)};
}

}  // namespace

std::string to_document(const Assignment& assignment, const AssignmentStatistics& statistics, Timestamp generated_at,
                        Timestamp cached_at) {
    JsonWriter json;
    json.begin_object();
    json.field("assignment_id", assignment.id).field("assignment_title", assignment.title);
    json.field("max_score", rounded(assignment.max_score));
    json.field("generated_at", to_iso8601(generated_at)).field("cached_at", to_iso8601(cached_at));
    write(json, statistics.scores);
    write(json, statistics.distribution);
    write(json, statistics.rates);
    write(json, statistics.times);
    json.end_object();
    return json.take();
}

}  // namespace larder
