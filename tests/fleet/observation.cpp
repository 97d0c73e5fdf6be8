#include "tests/fleet/observation.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "tests/support/quantile.hpp"

namespace larder::fleet {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kTroubleNs = 100'000'000;

using Answers = std::vector<Answer>;

void count_kind(AnswerKind kind, Verdict& verdict) {
    ++verdict.answers;
    if (kind == AnswerKind::hit) ++verdict.hits;
    if (kind == AnswerKind::degraded) ++verdict.degraded;
    if (kind == AnswerKind::refused) ++verdict.refused;
    if (kind == AnswerKind::silent) ++verdict.silent;
    if (kind == AnswerKind::wrong) ++verdict.wrong;
}

/// Of the answers for one assignment.
void add_waits(const Answers& answers, const Commits& commits, std::vector<std::int64_t>& seen_old,
               std::vector<std::int64_t>& seen_new) {
    if (commits.empty()) return;
    std::vector<std::int64_t> last_begin(commits.size() + 1, 0), first_end(commits.size() + 1, kNever);
    for (const Answer& answer : answers) {
        const std::size_t version = std::min<std::size_t>(answer.version, commits.size());
        last_begin[version] = std::max(last_begin[version], answer.begin_ns);
        first_end[version] = std::min(first_end[version], answer.end_ns);
    }
    for (std::size_t version = 1; version <= commits.size(); ++version)
        last_begin[version] = std::max(last_begin[version], last_begin[version - 1]);
    for (std::size_t version = commits.size(); version-- > 0;)
        first_end[version] = std::min(first_end[version], first_end[version + 1]);
    for (std::size_t version = 1; version <= commits.size(); ++version) {
        const std::int64_t committed = commits[version - 1];
        seen_old.push_back(std::max<std::int64_t>(0, last_begin[version - 1] - committed));
        if (first_end[version] != kNever) seen_new.push_back(std::max<std::int64_t>(0, first_end[version] - committed));
    }
}

/// Of the answers for one assignment, which it sorts.
std::size_t count_backwards(Answers& answers) {
    std::sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) { return a.end_ns < b.end_ns; });
    Answers by_begin = answers;
    std::sort(by_begin.begin(), by_begin.end(),
              [](const Answer& a, const Answer& b) { return a.begin_ns < b.begin_ns; });
    std::size_t backwards = 0;
    Version highest = 0;
    auto ended = answers.begin();
    for (const Answer& answer : by_begin) {
        for (; ended != answers.end() && ended->end_ns < answer.begin_ns; ++ended)
            highest = std::max(highest, ended->version);
        if (answer.version < highest) ++backwards;
    }
    return backwards;
}

}  // namespace

std::int64_t now_ns() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Quantiles quantiles_of(const std::vector<std::int64_t>& times_ns) {
    return {.p50 = test::quantile(times_ns, 0.5, test::kMs),
            .p99 = test::quantile(times_ns, 0.99, test::kMs),
            .max = test::quantile(times_ns, 1, test::kMs)};
}

std::int64_t staleness_ns(const Answer& answer, const Commits& commits) {
    if (answer.version >= commits.size()) return 0;
    return std::max<std::int64_t>(0, answer.begin_ns - commits[answer.version]);
}

Verdict judge(Answers answers, const Ledger& ledger, const Times& times) {
    Verdict verdict;
    std::vector<std::int64_t> staleness, seen_old, seen_new;
    std::vector<Answers> by_assignment(ledger.size());
    std::int64_t worst = 0, trouble_end = times.healed_ns;
    for (const Answer& answer : answers) {
        count_kind(answer.kind, verdict);
        std::int64_t age = 0;
        if (answer.shows_version()) {
            by_assignment[answer.assignment - 1].push_back(answer);
            age = staleness_ns(answer, ledger[answer.assignment - 1]);
            staleness.push_back(age);
        }
        if (times.bound_ns && age > *times.bound_ns) ++verdict.above_bound;
        if (age > worst) {
            worst = age;
            verdict.worst_at_ms = static_cast<double>(answer.begin_ns - times.origin_ns) / test::kMs;
        }
        if (!answer.shows_version() || age > kTroubleNs) trouble_end = std::max(trouble_end, answer.end_ns);
    }
    for (std::size_t n = 0; n < ledger.size(); ++n) {
        add_waits(by_assignment[n], ledger[n], seen_old, seen_new);
        verdict.backwards += count_backwards(by_assignment[n]);
    }
    verdict.staleness = quantiles_of(staleness);
    verdict.seen_old = quantiles_of(seen_old);
    verdict.seen_new = quantiles_of(seen_new);
    verdict.trouble_ms = static_cast<double>(trouble_end - times.healed_ns) / test::kMs;
    return verdict;
}

}  // namespace larder::fleet
