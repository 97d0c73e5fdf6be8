#include "tests/fleet/trial.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

namespace larder::fleet {
namespace {

constexpr int kAssignments = 32;
constexpr int kPauseUs = 4'000;       // of a poller
constexpr double kBeforeSeconds = 1;  // of changes in calm, before anything happens
constexpr double kAfterSeconds = 2;   // and when all is well again
constexpr int kSettlingMs = 20'000;   // beside what the promise allows; reconnecting to servers is in it
constexpr std::uint32_t kMostAssignments = 10'000;
constexpr double kMostReadsACommit = 1.1;  // of all hosts together, with the second tier, in calm
constexpr Pace kManyCommitsPace{.writers = 32, .most_pause_ms = 0, .most_commit_ms = 20, .rounds = 1};

/// What the fleet computes, from its making on.
class Work {
public:
    explicit Work(World& world) : world_(world), computations_(computations()), reads_(reads()) {}
    void tell(Result& result) const {
        const auto commits = static_cast<double>(result.commits);
        result.computations_a_commit = static_cast<double>(computations() - computations_) / commits;
        result.reads_a_commit = static_cast<double>(reads() - reads_) / commits;
    }

private:
    std::int64_t computations() const {
        std::int64_t sum = 0;
        for (const auto& host : world_.hosts()) sum += host->computations();
        return sum;
    }
    std::int64_t reads() const { return world_.database().document_reads(); }

    World& world_;
    const std::int64_t computations_, reads_;
};

std::uint64_t commits_in(const Ledger& ledger) {
    return std::accumulate(ledger.begin(), ledger.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Commits& commits) { return sum + commits.size(); });
}

int settling_ms(const Settings& settings, std::size_t pages) {
    return settings.abilities.bound_ms().value_or(0) + kSettlingMs + static_cast<int>(pages) * 10;
}

/// Every page is in every cache.
void fill(World& world, const Ledger& ledger, const Settings& settings) {
    for (const Settling& settling : settle(world.hosts(), ledger, settling_ms(settings, ledger.size())))
        if (settling.missed != 0) throw std::runtime_error("a page cannot be had in calm");
}

Times times_of(const Settings& settings, std::int64_t origin_ns, std::int64_t healed_ns) {
    Times times{.origin_ns = origin_ns, .healed_ns = healed_ns, .bound_ns = {}};
    if (const std::optional<int> bound_ms = settings.abilities.bound_ms())
        times.bound_ns = std::int64_t{*bound_ms} * 1'000'000 + kToleranceNs;
    return times;
}

void note_missed(Result& result, const std::vector<Settling>& settlings, std::uint64_t round) {
    for (std::size_t host = 0; host < settlings.size(); ++host)
        if (settlings[host].missed != 0)
            result.broken.push_back("host " + std::to_string(host) + " never showed the last version of " +
                                    std::to_string(settlings[host].missed) + " assignments, of " +
                                    std::to_string(settlings[host].first_missed) + " first, after round " +
                                    std::to_string(round));
}

void judge_hosts(Result& result, std::vector<std::vector<Answer>> answers, const Ledger& ledger, const Times& times) {
    for (std::size_t host = 0; host < answers.size(); ++host) {
        const Verdict verdict = judge(std::move(answers[host]), ledger, times);
        result.verdicts.push_back(verdict);
        const std::string who = "host " + std::to_string(host) + " ";
        if (verdict.above_bound != 0)
            result.broken.push_back(who + "served " + std::to_string(verdict.above_bound) +
                                    " answers staler than is promised, by " + std::to_string(verdict.staleness.max) +
                                    " ms at the most");
        if (verdict.wrong != 0)
            result.broken.push_back(who + "gave " + std::to_string(verdict.wrong) +
                                    " answers that were neither 200 nor 503");
        if (verdict.answers == 0) result.broken.push_back(who + "was never asked");
    }
}

void judge_calm(Result& result, const Settings& settings) {
    for (std::size_t host = 0; host < result.verdicts.size(); ++host)
        if (settings.goal_ms > 0 && result.verdicts[host].seen_old.p99 >= settings.goal_ms)
            result.broken.push_back("host " + std::to_string(host) +
                                    " showed old versions longer than the goal in calm");
    if (settings.abilities.uses_tier && result.reads_a_commit > kMostReadsACommit)
        result.broken.push_back("one change was computed " + std::to_string(result.reads_a_commit) +
                                " times by hosts that share documents");
}

}  // namespace

Result play(const Case& one, const Settings& settings) {
    World world(settings.abilities, settings.hosts, kAssignments, one.delays);
    Ledger ledger(kAssignments);
    fill(world, ledger, settings);
    Result result{.name = one.name, .what = one.what};
    const Work work(world);
    const std::int64_t origin_ns = now_ns();
    Pollers pollers(world.hosts(), kAssignments, kPauseUs);
    Pace pace = one.pace;
    pace.is_careless = settings.is_careless;
    Writers writers(world.database(), ledger, pace, settings.seed);
    hold(kBeforeSeconds);
    one.play(world, settings.seconds);
    const std::int64_t healed_ns = now_ns();
    hold(kAfterSeconds);
    writers.stop();
    writers.finish();
    result.commits_took_s = static_cast<double>(now_ns() - origin_ns) / 1e9;
    result.settlings = settle(world.hosts(), ledger, settling_ms(settings, ledger.size()));
    note_missed(result, result.settlings, 1);
    judge_hosts(result, pollers.finish(), ledger, times_of(settings, origin_ns, healed_ns));
    result.bystander = world.bystander().finish();
    result.marked = world.marked();
    if (!settings.logs.empty()) world.keep_logs(settings.logs, result.name);
    result.commits = commits_in(ledger);
    work.tell(result);
    if (std::strcmp(one.name, all_cases().front().name) == 0) judge_calm(result, settings);
    return result;
}

Result play_many_commits(const Settings& settings) {
    const std::uint32_t assignments = std::min(settings.commits, kMostAssignments);
    World world(settings.abilities, settings.hosts, static_cast<int>(assignments), false);
    Ledger ledger(assignments);
    fill(world, ledger, settings);
    Result result{.name = kManyCommits, .what = "32 writers, up to 20 ms from a change to its commit"};
    const Work work(world);
    const std::int64_t origin_ns = now_ns();
    Pollers pollers(world.hosts(), assignments, kPauseUs);
    for (std::uint64_t round = 1; round * assignments <= settings.commits && result.broken.empty(); ++round) {
        const std::int64_t begin_ns = now_ns();
        Writers(world.database(), ledger, kManyCommitsPace, settings.seed + round).finish();
        result.commits_took_s += static_cast<double>(now_ns() - begin_ns) / 1e9;
        result.settlings = settle(world.hosts(), ledger, settling_ms(settings, assignments));
        note_missed(result, result.settlings, round);
    }
    judge_hosts(result, pollers.finish(), ledger, times_of(settings, origin_ns, now_ns()));
    result.bystander = world.bystander().finish();
    if (!settings.logs.empty()) world.keep_logs(settings.logs, result.name);
    result.commits = commits_in(ledger);
    work.tell(result);
    return result;
}

}  // namespace larder::fleet
