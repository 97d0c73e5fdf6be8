// One case, played and judged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/fleet/cases.hpp"
#include "tests/fleet/observation.hpp"
#include "tests/fleet/pollers.hpp"

namespace larder::fleet {

struct Settings {
    Abilities abilities;
    int hosts = 4;
    double seconds = 6;
    double goal_ms = 100;             ///< of seen_old p99 in calm; 0: none
    std::uint32_t commits = 100'000;  ///< of the case that is about them
    std::uint64_t seed = 1;
    std::string logs;          ///< a directory that is there, for what hosts and the database say; empty: not kept
    bool is_careless = false;  ///< the checker's own proof: see Pace
};

struct Result {
    std::string name, what;
    std::vector<Verdict> verdicts;    ///< of each host
    std::vector<Settling> settlings;  ///< of each host, after the last commit
    Quantiles bystander;              ///< see Bystander
    std::optional<int> marked;        ///< the host that something happened to
    std::uint64_t commits = 0;
    double commits_took_s = 0;
    double reads_a_commit = 0;         ///< documents that hosts computed, as the database counts them
    double computations_a_commit = 0;  ///< values that they computed, as `larder stat` does: entries for access, too
    std::vector<std::string> broken;   ///< promises, in words
};

/// The clock that an answer's age is held against is read in ticks of the coarse clock, twice.
constexpr std::int64_t kToleranceNs = 10'000'000;

/// Throws what keeps it from being played.
Result play(const Case& one, const Settings& settings);

/// `settings.commits` commits in rounds; after each round every host must show the last version of every assignment, so
/// that each single commit is looked for at each host.
Result play_many_commits(const Settings& settings);
constexpr const char* kManyCommits = "many-commits";

}  // namespace larder::fleet
