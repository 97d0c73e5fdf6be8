// The checker finds what it is for: histories by hand, each with one thing that must not be.
#include "tests/history/checker.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/history/counts.hpp"

using namespace larder;
using namespace larder::history;

namespace {

constexpr std::int64_t kTickNs = 4'000'000;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::uint32_t kSoftKey = 0, kFailingKey = 1, kSimpleKey = 2, kPlainKey = 3;

/// One process writes, another one looks; times in milliseconds.
class Round {
public:
    Round() {
        history_.round = 7;
        history_.versions_after.fill(1'000'000);
    }

    /// Returns the word of its value.
    std::uint64_t put(std::uint32_t key, std::int64_t begin_ms, std::int64_t end_ms, std::uint32_t version,
                      Life life = {.ttl_ms = 60'000}) {
        Operation& one = add(written_, Kind::put, key, begin_ms, end_ms);
        one.life = life;
        return Origin{version, history_.round, 0, static_cast<std::uint32_t>(written_.size() - 1)}.word();
    }
    Operation& change(std::uint32_t key, std::int64_t begin_ms, std::int64_t end_ms, std::uint64_t version,
                      Scope scope = Scope::key) {
        Operation& one = add(written_, Kind::change, key, begin_ms, end_ms);
        one.called_ns = one.begin_ns;
        one.word = version;
        one.scope = scope;
        one.done = end_ms != 0;
        return one;
    }
    void touch(std::uint32_t key, std::int64_t begin_ms, std::int64_t end_ms, std::uint32_t ttl_ms) {
        add(written_, Kind::touch, key, begin_ms, end_ms).life.ttl_ms = ttl_ms;
    }
    Operation& get(std::uint32_t key, std::int64_t begin_ms, std::uint64_t word, Kind kind = Kind::get) {
        Operation& one = add(seen_, kind, key, begin_ms, begin_ms + 1);
        one.word = word;
        one.state = State::live;
        one.source = Source::hit;
        return one;
    }
    Operation& miss(std::uint32_t key, std::int64_t begin_ms) {
        return add(seen_, Kind::get, key, begin_ms, begin_ms + 1);
    }

    void unlink() { history_.unlinked = true; }
    const History& history() {
        history_.logs[0] = written_;
        history_.logs[1] = seen_;
        return history_;
    }
    Judgement judged() {
        Judgement judgement;
        judge(history(), kTickNs, judgement);
        return judgement;
    }
    CountsJudgement counted(const Counts& after) {
        CountsJudgement judgement;
        judge_counts(history(), {}, after, judgement);
        return judgement;
    }

private:
    static Operation& add(std::vector<Operation>& log, Kind kind, std::uint32_t key, std::int64_t begin_ms,
                          std::int64_t end_ms) {
        Operation& one = log.emplace_back(Operation{});
        one.kind = kind;
        one.key = static_cast<std::uint8_t>(key);
        one.begin_ns = begin_ms * kMs;
        one.end_ns = end_ms * kMs;
        return one;
    }

    History history_;
    std::vector<Operation> written_, seen_;
};

}  // namespace

TEST_CASE("a value older than an acknowledged version is found, a miss never", "[history]") {
    Round round;
    const std::uint64_t old = round.put(kSimpleKey, 1, 100, 4);
    round.change(kSimpleKey, 10, 20, 5);
    round.get(kSimpleKey, 15, old);  // before it was acknowledged
    round.miss(kSimpleKey, 30);
    CHECK(round.judged().violations() == 0);
    round.get(kSimpleKey, 30, old);
    CHECK(round.judged().overtaken == 1);
}

TEST_CASE("a notice speaks for all keys that it names, and for all versions committed before it", "[history]") {
    for (const Scope scope : {Scope::tag, Scope::name_space, Scope::everything}) {
        Round round;
        const std::uint32_t other = scope == Scope::tag ? kSimpleKey + 5 : scope == Scope::name_space ? 1 : 7;
        const std::uint64_t old = round.put(other, 1, 100, 1);
        round.change(other, 5, 0, 2);  // committed, never acknowledged by its own notice
        round.get(other, 8, old);
        CHECK(round.judged().violations() == 0);
        round.change(kSimpleKey, 10, 20, 9, scope);
        round.get(other, 30, old);
        CHECK(round.judged().overtaken == 1);
    }
}

TEST_CASE("what was kept before an acknowledged notice or a later put is found", "[history]") {
    Round noticed;
    const std::uint64_t kept = noticed.put(kPlainKey, 1, 2, 0);
    noticed.change(kPlainKey, 10, 20, 0);
    noticed.get(kPlainKey, 15, kept);
    CHECK(noticed.judged().violations() == 0);
    noticed.get(kPlainKey, 30, kept);
    CHECK(noticed.judged().overtaken == 1);

    Round replaced;
    const std::uint64_t first = replaced.put(kPlainKey, 1, 2, 0);
    replaced.put(kPlainKey, 10, 20, 0);
    replaced.get(kPlainKey, 15, first);
    CHECK(replaced.judged().violations() == 0);
    replaced.get(kPlainKey, 30, first);
    CHECK(replaced.judged().overtaken == 1);
    replaced.unlink();
    CHECK(replaced.judged().violations() == 0);
    replaced.get(kPlainKey, 90, first);
    CHECK(replaced.judged().overtaken == 1);
}

TEST_CASE("a notice without an acknowledgement promises nothing", "[history]") {
    Round round;
    const std::uint64_t old = round.put(kSimpleKey, 1, 2, 4);
    round.change(kSimpleKey, 10, 20, 5).done = false;
    round.change(kSimpleKey, 10, 0, 6);
    round.get(kSimpleKey, 30, old);
    CHECK(round.judged().violations() == 0);
}

TEST_CASE("bytes that nobody wrote for this key are found", "[history]") {
    Round round;
    const std::uint64_t word = round.put(kSimpleKey, 1, 2, 4);
    Origin nobody = Origin::of(word), future = Origin::of(word);
    nobody.number = 12;
    future.version = 1'000'001;
    round.get(kSimpleKey, 10, word).wrong = true;
    round.get(kPlainKey, 11, word);
    round.get(kSimpleKey, 13, nobody.word());
    round.get(kSimpleKey, 14, future.word());
    CHECK(round.judged().foreign == 4);
}

TEST_CASE("a value kept from the round before is overtaken by the notice between them", "[history]") {
    Round round;
    Origin before = Origin::of(round.put(kSimpleKey, 1, 2, 4));
    before.round = 6;
    round.get(kSimpleKey, 10, before.word());
    CHECK(round.judged().overtaken == 1);
    CHECK(round.judged().foreign == 0);
}

TEST_CASE("a value past its ttl is found, but for what a touch or a failed computation allows", "[history]") {
    Round round;
    const std::uint64_t simple = round.put(kSimpleKey, 1, 2, 0, {.ttl_ms = 10});
    const std::uint64_t failing = round.put(kFailingKey, 1, 2, 0, {.ttl_ms = 10, .stale_if_error_ms = 20});
    round.get(kSimpleKey, 11, simple);
    round.get(kFailingKey, 25, failing, Kind::compute).state = State::stale;
    CHECK(round.judged().violations() == 0);
    round.touch(kSimpleKey, 9, 10, 30);
    round.get(kSimpleKey, 39, simple);
    CHECK(round.judged().violations() == 0);
    round.get(kSimpleKey, 40, simple);
    round.get(kFailingKey, 25, failing);
    round.get(kFailingKey, 32, failing, Kind::compute).state = State::stale;
    CHECK(round.judged().over == 3);
}

TEST_CASE("the end of a value's time is the coarse clock's, how late it is the true one's", "[history]") {
    Round round;
    const std::uint64_t word = round.put(kFailingKey, 1, 2, 0, {.ttl_ms = 10});
    round.get(kFailingKey, 13, word).begin_lag_ns = 2 * kMs;
    CHECK(round.judged().violations() == 0);
    CHECK(round.judged().latest_ms == Approx(1));
    round.get(kFailingKey, 30, word).begin_lag_ns = 19 * kMs;
    CHECK(round.judged().clock_stops == 1);
    CHECK(round.judged().latest_ms == Approx(1));
    round.get(kFailingKey, 13, word).begin_lag_ns = 1 * kMs;
    CHECK(round.judged().over == 1);
}

TEST_CASE("a stale value is stale only where it may be, and never called fresh", "[history]") {
    Round round;
    const std::uint64_t soft = round.put(kSoftKey, 1, 2, 0, {.ttl_ms = 100, .soft_ttl_ms = 10});
    const std::uint64_t simple = round.put(kSimpleKey, 1, 2, 0, {.ttl_ms = 100});
    round.get(kSoftKey, 11, soft);
    round.get(kSoftKey, 20, soft).state = State::stale;
    CHECK(round.judged().violations() == 0);
    round.get(kSoftKey, 12, soft);
    round.get(kSimpleKey, 20, simple).state = State::stale;
    CHECK(round.judged().over == 2);
}

TEST_CASE("sums are exact where all lookups ended, and short of at most those that did not", "[history]") {
    Round round;
    const std::uint64_t word = round.put(kSimpleKey, 1, 2, 0);
    round.miss(kSimpleKey, 1);
    round.get(kSimpleKey, 10, word);
    round.get(kSimpleKey, 12, word);
    Counts counts;
    counts.total = counts.by_key[kSimpleKey] = {2, 1};
    CHECK(round.counted(counts).wrong == 0);
    counts.total.hits = 3;
    counts.by_key[kSimpleKey].hits = 3;
    CHECK(round.counted(counts).wrong == 4);
    round.get(kSimpleKey, 20, word).end_ns = 0;
    CHECK(round.counted(counts).wrong == 0);
    counts.by_key[kSimpleKey].hits = 4;
    CHECK(round.counted(counts).wrong == 2);
}

TEST_CASE("a miss before a key's first value is counted without a key, and no lookup is lost", "[history]") {
    Round round;
    round.miss(kSimpleKey, 1);
    Counts counts;
    counts.total = {0, 1};
    CHECK(round.counted(counts).wrong == 1);
    counts.untracked = 1;
    CHECK(round.counted(counts).wrong == 0);
}
