// What was committed when, what hosts answered when, and what follows of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace larder::fleet {

/// Nanoseconds of CLOCK_MONOTONIC, one clock for all.
std::int64_t now_ns();

using Version = std::uint32_t;

/// When the versions of one assignment were committed: version v at [v - 1], never too early: when COMMIT had returned.
/// Version 0 was always there. Each version was committed before the next one was begun.
using Commits = std::vector<std::int64_t>;
/// The assignment n at [n - 1].
using Ledger = std::vector<Commits>;

enum class AnswerKind : std::uint8_t {
    hit,       ///< from the cache
    computed,  ///< here, or by another meanwhile
    degraded,  ///< either, and said that the cache is degraded
    refused,   ///< 503
    silent,    ///< no answer within a poller's patience
    wrong,     ///< anything else
};

struct Answer {
    std::int64_t begin_ns = 0, end_ns = 0;  ///< before the request was sent; after the answer had come
    std::uint32_t assignment = 0;           ///< from 1
    Version version = 0;                    ///< where it shows one
    AnswerKind kind = AnswerKind::wrong;

    bool shows_version() const { return kind <= AnswerKind::degraded; }
};

struct Quantiles {
    double p50 = 0, p99 = 0, max = 0;  ///< milliseconds
};

/// Of one host.
struct Verdict {
    std::size_t answers = 0, hits = 0, degraded = 0, refused = 0, silent = 0, wrong = 0;
    /// Of each answer: how long before its request was sent the oldest version newer than the one it shows had been
    /// committed; 0: there was none.
    Quantiles staleness;
    /// Of each commit: until when after it an answer older than it was still begun; 0: none was.
    Quantiles seen_old;
    /// Of each commit: until when after it the first answer not older than it had come. How often the pages are asked
    /// for is in it, and --recompute-interval.
    Quantiles seen_new;
    std::size_t above_bound = 0;  ///< answers that were staler
    std::size_t backwards = 0;    ///< answers older than one that had come before they were asked for
    double worst_at_ms = 0;       ///< when the stalest was asked for, from `origin_ns` on
    double trouble_ms = 0;        ///< after `healed_ns`: until when answers were refused, silent or 100 ms stale
};

struct Times {
    std::int64_t origin_ns = 0, healed_ns = 0;
    std::optional<std::int64_t> bound_ns;  ///< none: nothing is above it
};

/// In milliseconds.
Quantiles quantiles_of(const std::vector<std::int64_t>& times_ns);

/// 0: nothing newer had been committed when it was asked for.
std::int64_t staleness_ns(const Answer& answer, const Commits& commits);

/// `answers`: of one host, in any order.
Verdict judge(std::vector<Answer> answers, const Ledger& ledger, const Times& times);

}  // namespace larder::fleet
