// The history checker: processes that share a cache write down what they do, while a nemesis makes it hard for them;
// afterwards it is checked that nobody was served what he must not be, and that everything was counted.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "core/promise.hpp"
#include "shm/location.hpp"
#include "shm/replacement.hpp"
#include "shm/system.hpp"
#include "tests/history/actor.hpp"
#include "tests/history/checker.hpp"
#include "tests/history/counts.hpp"
#include "tests/history/nemesis.hpp"
#include "tests/support/coarse_clock.hpp"
#include "tests/support/forked.hpp"
#include "tests/support/harness.hpp"
#include "tests/support/scoped_directory.hpp"

namespace larder::history {
namespace {

constexpr double kNeverMs = 10'000;
constexpr std::uint64_t kJudgedOperations = 100'000;  // two rounds: in fewer not all that is planned need happen

struct Settings {
    std::uint64_t operations = 1'000'000, seed = 1, seconds = 900;
    std::string careless = "nobody", promises;

    std::string command() const {
        return "build/release/tests/larder_history --operations " + std::to_string(operations) + " --seed " +
               std::to_string(seed) + " --seconds " + std::to_string(seconds) +
               (careless == "nobody" ? "" : " --careless " + careless);
    }
};

const std::map<std::string, Careless> kMistakes = {
    {"nobody", Careless::none}, {"stamp", Careless::late_stamp}, {"notice", Careless::early_notice}};

Options cache_options(const std::string& directory) {
    Options options;
    options.directory = directory;
    options.size_bytes = 64ULL << 20;
    options.shards = 4;
    options.expected_entries = 400;
    options.max_entries = 100;  // so that a flood evicts everything
    options.tracked_keys = 1024;
    options.listen = true;
    return options;
}

bool succeeds(pid_t pid) {
    int status = 0;
    return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// All rounds. The process itself only looks: what opens, changes and removes the cache are processes of their own.
class Campaign {
public:
    explicit Campaign(const Settings& settings)
        : settings_(settings),
          options_(cache_options(directory_.path())),
          location_(shm::locate(directory_.path(), options_.name, true)),
          trail_(location_),
          next_seed_(settings.seed) {
        world_->careless = kMistakes.at(settings.careless);
    }

    /// What went wrong, or "".
    std::string run() {
        if (!announce_everything()) return "the cache cannot be opened";
        trail_.look();
        Nemesis nemesis(
            world_, trail_, [this](std::uint32_t number) { return start_actor(number); },
            [this](Nemesis::Removal how) { return remove(how); }, settings_.seed);
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(settings_.seconds);
        std::string failure;
        while (failure.empty() && operations_ < settings_.operations && std::chrono::steady_clock::now() < until)
            failure = play(nemesis);
        deeds_ = nemesis.deeds();
        if (failure.empty()) failure = nemesis.end();
        return failure.empty() ? too_little() : failure;
    }

    std::uint64_t operations() const { return operations_; }
    void print() const;
    void write_promises(const std::string& path) const;

private:
    pid_t start_actor(std::uint32_t number) {
        const std::uint64_t seed = next_seed_++ * 7919;
        return test::fork_to([&] {
            using namespace std::chrono_literals;
            Notifier notifier(location_.socket_path(), 500ms);
            return Actor(Cache::open(options_), std::move(notifier), world_, number, seed).live();
        });
    }

    bool remove(Nemesis::Removal how) const {
        if (how == Nemesis::Removal::unlink) return ::unlink(location_.segment_path().c_str()) == 0;
        return succeeds(test::fork_to([this] { return shm::remove_cache(location_) ? 0 : 1; }));
    }

    bool announce_everything() {
        return succeeds(test::fork_to([this] { return Cache::open(options_).invalidate_all() != 0 ? 0 : 1; }));
    }

    std::string play(Nemesis& nemesis);
    std::string too_little() const;
    std::array<std::uint32_t, kKeys> versions() {
        std::array<std::uint32_t, kKeys> now{};
        for (std::uint32_t key = 0; key < kKeys; ++key) now[key] = world_->source[key];
        return now;
    }

    const Settings& settings_;
    const test::ScopedDirectory directory_;
    const Options options_;
    const shm::Location location_;
    World world_;
    SegmentTrail trail_;
    std::uint64_t next_seed_;
    std::uint64_t operations_ = 0, rounds_ = 0;
    Plan planned_;  // by any of them
    Deeds deeds_;
    Judgement values_;
    CountsJudgement counts_;
    std::int64_t longest_ns_ = 0;  // operation
};

/// One round in two has kills, one in two a replacement of the segment.
std::string Campaign::play(Nemesis& nemesis) {
    History history;
    history.round = static_cast<std::uint32_t>(++rounds_);
    history.versions_before = versions();
    if (!announce_everything()) return "a notice was not acknowledged while all rest";
    trail_.look();
    const Counts before = trail_.counts();
    for (ActorLog& log : world_->logs) log.used = 0;
    const std::uint64_t unlinks = nemesis.deeds().unlinks;
    const std::uint64_t left = settings_.operations - operations_;
    world_->steps_left = static_cast<std::int64_t>(std::min<std::uint64_t>(kRoundSteps, left));
    world_->round.store(history.round, std::memory_order_release);
    const Plan plan{rounds_ % 2 == 0, rounds_ % 4 == 0 || rounds_ % 4 == 3};
    planned_.kills |= plan.kills;
    planned_.replaces |= plan.replaces;
    if (std::string failure = nemesis.play(plan); !failure.empty()) return failure;
    trail_.look();
    history.unlinked = nemesis.deeds().unlinks != unlinks;
    history.versions_after = versions();
    for (std::uint32_t actor = 0; actor < kActors; ++actor) {
        history.logs[actor] = world_->logs[actor].all();
        operations_ += history.logs[actor].size();
        for (const Operation& one : history.logs[actor])
            if (one.has_ended()) longest_ns_ = std::max(longest_ns_, one.end_ns - one.begin_ns);
    }
    judge(history, test::coarse_tick_ns(), values_);
    judge_counts(history, before, trail_.counts(), counts_);
    if (values_.violations() != 0) return values_.first;
    return counts_.first;
}

/// What did not happen proves nothing; "": enough did.
std::string Campaign::too_little() const {
    if (operations_ == 0 || operations_ * 10 < settings_.operations) return "fewer than a tenth of the operations";
    if (operations_ < kJudgedOperations) return "";
    if (values_.hits == 0) return "no value came from the cache";
    if (deeds_.stops == 0 || deeds_.floods == 0) return "nobody was stopped, or no flood came";
    if (planned_.kills && deeds_.kills == 0) return "nobody was killed";
    return planned_.replaces && deeds_.removals + deeds_.unlinks == 0 ? "no segment was removed" : "";
}

void Campaign::print() const {
    std::printf(
        "%lu operations in %lu rounds: %lu kills, %lu stops, %lu floods, %lu orders to invalidate everything, "
        "%lu segments removed, %lu unlinked\n",
        operations_, rounds_, deeds_.kills, deeds_.stops, deeds_.floods, deeds_.invalidations, deeds_.removals,
        deeds_.unlinks);
    std::printf("%lu values given, %lu of them hits: %lu wrong bytes, %lu overtaken, %lu over or stale\n",
                values_.values, values_.hits, values_.foreign, values_.overtaken, values_.over);
    std::printf(
        "%lu of them near the end of their time, the latest %.3f ms after it (%lu while the coarse clock stood)\n",
        values_.near_death, values_.latest_ms, values_.clock_stops);
    std::printf("%lu lookups and %lu that did not end: %lu of %lu sums of counters wrong\n", counts_.lookups,
                counts_.unfinished, counts_.wrong, counts_.sums);
    std::printf("longest operation %.1f ms\n", static_cast<double>(longest_ns_) / 1e6);
}

void Campaign::write_promises(const std::string& path) const {
    const auto tell = [&](const char* name, const char* unit, Goal goal, double measured, std::uint64_t samples) {
        append_promise(path, {name, unit, std::move(goal), measured, samples, {measured}, settings_.command()});
    };
    tell("R3", "violations", {"==", 0}, static_cast<double>(values_.foreign), values_.values);
    tell("R9", "ms", {"<=", test::latest_ms()}, values_.over == 0 ? values_.latest_ms : kNeverMs, values_.near_death);
    tell("R11", "violations", {"==", 0}, static_cast<double>(values_.overtaken), values_.values);
    tell("R16", "violations", {"==", 0}, static_cast<double>(counts_.wrong), counts_.lookups);
}

int run(const Settings& settings) {
    Campaign campaign(settings);
    const std::string failure = campaign.run();
    campaign.print();
    if (!settings.promises.empty()) campaign.write_promises(settings.promises);
    if (campaign.operations() < settings.operations)
        std::printf("cut short after %lu of %lu operations\n", campaign.operations(), settings.operations);
    if (failure.empty()) return std::printf("nobody was served what he must not be\n"), 0;
    std::printf("FAILED: %s\nagain: %s\n", failure.c_str(), settings.command().c_str());
    return 1;
}

}  // namespace
}  // namespace larder::history

int main(int argc, char** argv) {
    CLI::App program("Writes down what processes do with a cache, and checks what they were served");
    larder::history::Settings settings;
    program.add_option("--operations", settings.operations, "Of all processes")->capture_default_str();
    program.add_option("--seed", settings.seed, "Of all random choices but the moment")->capture_default_str();
    program.add_option("--seconds", settings.seconds, "At most so long")->capture_default_str();
    program.add_option("--careless", settings.careless, "Who makes a mistake on purpose, which must be found")
        ->check(CLI::IsMember({"nobody", "stamp", "notice"}))
        ->capture_default_str();
    program.add_option("--promises", settings.promises, "A file to append the figures to, one JSON object a line");
    CLI11_PARSE(program, argc, argv);
    return larder::test::run_harness(settings.command(), [&] { return larder::history::run(settings); });
}
