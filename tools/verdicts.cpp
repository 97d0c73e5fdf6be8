#include "tools/verdicts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/durations_sizes.hpp"

namespace larder::tools {
namespace {

using shm::Counter;

// Events that should not be, the worst first.
constexpr Counter kTroubles[] = {
    Counter::damaged_reads,  Counter::shard_rebuilds, Counter::compute_failures, Counter::busy,
    Counter::no_space,       Counter::too_large,      Counter::lease_timeouts,   Counter::lease_takeovers,
    Counter::stale_on_error, Counter::arenas_pinned,  Counter::copied_reads,
};
constexpr Counter kMissReasons[] = {Counter::misses_cold,        Counter::misses_expired, Counter::misses_evicted,
                                    Counter::misses_invalidated, Counter::misses_rebuilt, Counter::misses_contended};
constexpr double kMissed = 0.01;    // of all lookups: so many are worth a word
constexpr double kHardlyAny = 0.5;  // fewer hits are worth a word
constexpr double kFewLookups = 10;  // a second, below which shares say nothing
constexpr std::int64_t kLongWaitMs = 1'000;
constexpr double kSomeTimes = 1.1, kManyTimes = 10;

std::string time_text(double seconds) {
    return duration_text(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1'000)));
}

double share(double part, double whole) { return whole <= 0 ? 0 : part / whole; }

class Judge {
public:
    explicit Judge(const Evidence& evidence) : given_(evidence), rates_(evidence.rates) {}

    std::vector<Verdict> run() {
        judge_service();
        judge_sync();
        judge_processes();
        judge_size();
        for (const Counter counter : kTroubles) judge(counter, 0);
        judge(Counter::untracked_lookups, kMissed);
        judge_misses();
        if (none_is_bad()) fact(quiet_text());
        std::stable_partition(verdicts_.begin(), verdicts_.end(), [](const Verdict& one) { return one.is_bad; });
        return std::move(verdicts_);
    }

private:
    void bad(std::string text) { verdicts_.push_back({true, std::move(text)}); }
    void fact(std::string text) { verdicts_.push_back({false, std::move(text)}); }
    bool none_is_bad() const {
        return std::none_of(verdicts_.begin(), verdicts_.end(), [](const Verdict& one) { return one.is_bad; });
    }
    std::string quiet_text() const {
        if (given_.processes == 0) return "Nobody is attached.";
        if (rates_.lookups() != 0) return "Nothing is wrong.";
        return given_.evicted == 0 ? "Nothing is asked for, and nothing is wrong." : "Nothing is asked for.";
    }

    void judge_service() {
        if (!given_.service.reads_database)
            bad("The database cannot be read: what is in the cache is served, and nothing else. The log of the service "
                "says why.");
        if (!given_.service.relay_caught_up)
            bad("Changes in the database are not relayed: values may be out of date until their TTL ends. The log of "
                "the service says why.");
    }

    void judge_sync() {
        if (!given_.sync || !given_.sync->degraded) return;
        const std::string since = given_.sync->age ? fmt::format("for {}", duration_text(*given_.sync->age))
                                                   : std::string("since the cache was made");
        bad(
            fmt::format("Degraded: the database has not been followed {}, which may be {}. What was read before is {}; "
                        "look at the database, the network, and the log of serve or listen.",
                        since, duration_text(given_.sync->degraded_after),
                        given_.sync->max_stale.count() == 0
                            ? std::string("not served")
                            : fmt::format("served until {} have passed",
                                          duration_text(given_.sync->degraded_after + given_.sync->max_stale))));
    }

    void judge_processes() {
        if (given_.stopped != 0)
            bad(fmt::format("{} stopped inside a shard: puts to it fail until {} on (kill -CONT).",
                            counted(given_.stopped, "process stands", "processes stand"),
                            given_.stopped == 1 ? "it goes" : "they go"));
        if (given_.longest_wait_ms >= kLongWaitMs && given_.waiters != 0)
            bad(fmt::format("{} for a computation that has run for {}.",
                            counted(given_.waiters, "caller waits", "callers wait"),
                            duration_text(std::chrono::milliseconds(given_.longest_wait_ms))));
    }
    static std::string counted(std::uint32_t n, const char* one, const char* many) {
        return fmt::format("{} {}", n, n == 1 ? one : many);
    }

    void judge_size() {
        if (given_.evicted == 0) return;
        std::string facts = fmt::format("victed at age {}", time_text(given_.eviction_age_s));
        if (given_.ttl_s > 0) facts += fmt::format(" under a TTL of {}", time_text(given_.ttl_s));
        if (rates_.lookups() < kFewLookups)
            return fact(fmt::format("E{}, while {} was asked for: whether it will be missed is not known.", facts,
                                    rates_.lookups() == 0 ? "nothing" : "hardly anything"));
        const double lost = share(rates_[Counter::misses_evicted], rates_.lookups());
        if (lost < kMissed)
            return fact(
                fmt::format("E{}, and hardly missed ({:.1f} % of lookups): the size will do.", facts, 100 * lost));
        facts += fmt::format(", missed by {:.0f} % of lookups", 100 * lost);
        const std::string full = shm::fullness_text(given_.shortage, given_.gauges);
        if (!full.empty())
            return bad(fmt::format("Full{}: e{}. Make it anew with more {}; a larger size alone does not help.", full,
                                   facts, shm::option_against(given_.shortage)));
        bad(fmt::format("Too small: e{}{}. `larder record` and `larder advise` say which size is needed.", facts,
                        at_most_text(given_.ttl_s / std::max(given_.eviction_age_s, 0.001))));
    }
    /// Where all of the TTL is looked back at, and no key is stored twice. Far more than that is no help to anybody.
    static std::string at_most_text(double times) {
        return times < kSomeTimes || times > kManyTimes
                   ? std::string()
                   : fmt::format("; at {:.1f} times the size none would be", times);
    }

    void judge(Counter counter, double from_share) {
        const double rate = rates_[counter];
        if (rate == 0 || share(rate, rates_.lookups()) < from_share) return;
        const shm::CounterText& row = shm::kCounterTable[static_cast<std::uint32_t>(counter)];
        bad(fmt::format("{} {}/s: {}. {}", row.name, rate_text(rate, 5), row.meaning, row.remedy));
    }

    /// The main reason of many misses, where nothing else explains them.
    void judge_misses() {
        if (rates_.lookups() < kFewLookups || share(rates_.misses(), rates_.lookups()) < kHardlyAny) return;
        const Counter reason = *std::max_element(std::begin(kMissReasons), std::end(kMissReasons),
                                                 [this](Counter a, Counter b) { return rates_[a] < rates_[b]; });
        if (reason == Counter::misses_evicted && given_.evicted != 0) return;  // told by judge_size
        const shm::CounterText& row = shm::kCounterTable[static_cast<std::uint32_t>(reason)];
        bad(fmt::format("Only {:.0f} % hits; most are {}. {}", *rates_.hit_percentage(), row.meaning, row.remedy));
    }

    const Evidence& given_;
    const Rates& rates_;
    std::vector<Verdict> verdicts_;
};

}  // namespace

std::vector<Verdict> verdicts_of(const Evidence& evidence) { return Judge(evidence).run(); }

}  // namespace larder::tools
