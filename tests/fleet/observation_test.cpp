// What follows of commits and answers: how stale these were, and for how long.
#include "tests/fleet/observation.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace larder::fleet;

namespace {

constexpr std::int64_t ms = 1'000'000;

Answer answer(std::int64_t begin_ms, std::int64_t end_ms, Version version, AnswerKind kind = AnswerKind::hit) {
    return {.begin_ns = begin_ms * ms, .end_ns = end_ms * ms, .assignment = 1, .version = version, .kind = kind};
}

/// Versions of one assignment, committed then.
Ledger ledger(const std::vector<std::int64_t>& committed_ms) {
    Ledger ledger(1);
    for (const std::int64_t at : committed_ms) ledger[0].push_back(at * ms);
    return ledger;
}

Verdict verdict_of(const std::vector<Answer>& answers, const Ledger& ledger, const Times& times = {}) {
    return judge(answers, ledger, times);
}

}  // namespace

TEST_CASE("an answer is as stale as the oldest commit that it lacks was, when it was asked for") {
    const Ledger two = ledger({100, 200});
    CHECK(staleness_ns(answer(90, 300, 0), two[0]) == 0);
    CHECK(staleness_ns(answer(150, 160, 0), two[0]) == 50 * ms);
    CHECK(staleness_ns(answer(250, 260, 0), two[0]) == 150 * ms);
    CHECK(staleness_ns(answer(250, 260, 1), two[0]) == 50 * ms);
    CHECK(staleness_ns(answer(250, 260, 2), two[0]) == 0);
    CHECK(staleness_ns(answer(150, 160, 2), two[0]) == 0);
}

TEST_CASE("a commit is seen as old until the last older answer is asked for, as new once a newer one has come") {
    const std::vector<Answer> answers{answer(110, 111, 0), answer(130, 131, 0), answer(140, 170, 1)};
    const Verdict verdict = verdict_of(answers, ledger({100}));
    CHECK(verdict.seen_old.max == 30);
    CHECK(verdict.seen_new.max == 70);
    CHECK(verdict.staleness.max == 30);
}

TEST_CASE("an answer of a later version ends the wait for those before it") {
    const Verdict verdict = verdict_of({answer(110, 111, 0), answer(300, 310, 2)}, ledger({100, 200}));
    CHECK(verdict.seen_new.max == 210);
    CHECK(verdict.seen_new.p50 == 110);
    CHECK(verdict.seen_old.max == 10);
}

TEST_CASE("an answer above the bound is counted, one at it is not, and none where there is no bound") {
    const std::vector<Answer> answers{answer(120, 121, 0), answer(121, 122, 0)};
    CHECK(verdict_of(answers, ledger({100}), {.bound_ns = 20 * ms}).above_bound == 1);
    CHECK(verdict_of(answers, ledger({100})).above_bound == 0);
}

TEST_CASE("an answer without a version is counted by its kind, and is not stale") {
    const Verdict verdict =
        verdict_of({answer(500, 501, 0, AnswerKind::refused), answer(500, 501, 0, AnswerKind::silent),
                    answer(500, 501, 0, AnswerKind::wrong), answer(500, 501, 1, AnswerKind::degraded)},
                   ledger({100}), {.bound_ns = 1});
    CHECK(verdict.answers == 4);
    CHECK(verdict.refused == 1);
    CHECK(verdict.silent == 1);
    CHECK(verdict.wrong == 1);
    CHECK(verdict.degraded == 1);
    CHECK(verdict.above_bound == 0);
    CHECK(verdict.staleness.max == 0);
}

TEST_CASE("a host goes backwards when it shows less than had come before it was asked") {
    CHECK(verdict_of({answer(10, 20, 1), answer(21, 22, 0)}, ledger({5})).backwards == 1);
    CHECK(verdict_of({answer(10, 20, 1), answer(19, 22, 0)}, ledger({5})).backwards == 0);
    CHECK(verdict_of({answer(10, 20, 0), answer(21, 22, 1)}, ledger({5})).backwards == 0);
}

TEST_CASE("trouble lasts until the last answer that was refused, or a tenth of a second stale") {
    const Times times{.origin_ns = 0, .healed_ns = 1'000 * ms};
    CHECK(verdict_of({answer(1'100, 1'101, 1)}, ledger({500}), times).trouble_ms == 0);
    CHECK(verdict_of({answer(1'100, 1'101, 0), answer(1'200, 1'201, 1)}, ledger({500}), times).trouble_ms == 101);
    CHECK(verdict_of({answer(1'100, 1'150, 0, AnswerKind::refused)}, ledger({}), times).trouble_ms == 150);
    CHECK(verdict_of({answer(550, 560, 0)}, ledger({500}), times).trouble_ms == 0);
}
