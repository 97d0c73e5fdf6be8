// Damaged segments: whoever attaches to one, or has one attached while a peer scribbles over it, gets an error, a miss
// or what was put; never a crash, a hang, or another key's bytes; with checksums no wrong bytes at all.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <exception>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "core/promise.hpp"
#include "shm/system.hpp"
#include "tests/damage/scribble.hpp"
#include "tests/damage/trial.hpp"

namespace larder::damage {
namespace {

struct Arguments {
    std::uint64_t mutants = 10'000, seed = 1, seconds = 600, scribble_seconds = 5;
    std::int64_t only = -1;
    bool writes = false;
    std::string promises;
};

std::set<std::string> words_of(const std::string& text) {
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), {}};
}

/// What is said of a specimen, and read of it.
struct Healthy {
    std::set<std::string> findings;
    Hits kept;
};

/// What became of the mutants of one kind.
struct Row {
    std::uint64_t mutants = 0, refused = 0, named = 0, excused = 0, unnamed = 0, hits = 0, misses = 0, wrong_bytes = 0,
                  crashes = 0;
};

/// What was broken, by promise; what proves nothing breaks none, and is a failure, too.
struct Failures {
    std::uint64_t r3 = 0, r6 = 0, no_proof = 0;

    std::uint64_t all() const { return r3 + r6 + no_proof; }
};

/// One after the other.
Mutants each_of(std::vector<Mutant> all) {
    return [all = std::move(all), next = std::size_t{0}]() mutable {
        return next < all.size() ? std::optional(std::move(all[next++])) : std::nullopt;
    };
}

class Report {
public:
    Report(const std::vector<Specimen>& specimens, const Arguments& arguments)
        : specimens_(specimens), arguments_(arguments), healthy_(specimens.size()) {}

    /// Each specimen as it is, which all mutants are compared with.
    void judge_specimens() {
        std::vector<Mutant> unharmed(specimens_.size());
        for (std::uint32_t i = 0; i < specimens_.size(); ++i) {
            unharmed[i].specimen = i;
            unharmed[i].file_bytes = specimens_[i].bytes();
        }
        run_trials(specimens_, each_of(std::move(unharmed)), {}, [this](const Trial& trial) {
            const Outcome& outcome = *trial.outcome;
            const Specimen& specimen = specimens_[trial.mutant.specimen];
            const Shape& shape = specimen.shape();
            Hits kept = outcome.kept;
            for (std::uint32_t n = 0; n < shape.keys; ++n)
                if (specimen.is_half_edited(n)) kept.reset(n);
            healthy_[trial.mutant.specimen] = {words_of(outcome.findings), kept};
            if (trial.ending == Ending::well && outcome.refused == 0 && outcome.wrong_bytes == 0 &&
                outcome.kept.count() > shape.keys / 2 && words_of(outcome.findings) == words_of(shape.findings))
                return;
            tell(trial, "NOT HEALTHY");
            ++failures_.no_proof;
        });
    }

    void add(const Trial& trial) {
        Row& row = rows_[static_cast<std::size_t>(trial.mutant.damage)];
        const Outcome& outcome = *trial.outcome;
        ++row.mutants;
        if (trial.took_ns > slowest_ns_) {
            slowest_ns_ = trial.took_ns;
            slowest_ = trial.mutant.number;
        }
        row.refused += outcome.refused;
        row.named += names_something(trial) ? 1 : 0;
        row.hits += outcome.hits;
        row.misses += outcome.misses;
        row.wrong_bytes += outcome.wrong_bytes;
        const bool by_write = outcome.stage == Stage::writing;
        row.crashes += by_write ? 1 : 0;
        if (trial.ending == Ending::well && costs_unnamed(trial)) unnamed_.push_back(trial.mutant.number);
        if (by_write && arguments_.only < 0) return;  // writers were not promised anything
        if (!by_write) count(trial.ending);
        if (trial.ending != Ending::well || arguments_.only >= 0) tell(trial);
    }

    /// Once more, without the words that nobody can name: what they alone cost is excused.
    void judge_unnamed() {
        std::vector<Mutant> rests;
        for (const std::uint64_t number : unnamed_) {
            const Mutant mutant = make_mutant(specimens_, arguments_.seed, number);
            rests.push_back(mutant.without_free_words(specimens_[mutant.specimen]));
        }
        run_trials(specimens_, each_of(std::move(rests)), {}, [this](const Trial& trial) {
            Row& row = rows_[static_cast<std::size_t>(trial.mutant.damage)];
            const bool excused = trial.ending == Ending::well && !costs_unnamed(trial);
            ++(excused ? row.excused : row.unnamed);
            if (excused) return;
            if (trial.ending == Ending::well)
                ++failures_.r6;
            else
                count(trial.ending);
            tell(trial, "UNNAMED");
        });
    }

    /// Kinds of damage of which so many are tried without one hit have proved nothing of reading; only what is damaged
    /// before anybody maps the segment may be refused each time.
    void judge_kinds() {
        constexpr std::uint64_t kMany = 20;
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const auto kind = static_cast<Damage>(i);
            const bool of_the_file = kind == Damage::geometry || kind == Damage::truncation;
            if (rows_[i].mutants < kMany || of_the_file || (rows_[i].hits != 0 && rows_[i].refused < rows_[i].mutants))
                continue;
            std::printf("%s: nobody read any of these\n", kDamages[i].data());
            ++failures_.no_proof;
        }
    }

    void print() const {
        std::printf("%-14s %8s %8s %8s %8s %8s %10s %10s %8s%s\n", "damage", "mutants", "refused", "named", "excused",
                    "unnamed", "hits", "misses", "wrong", arguments_.writes ? "  write crashes" : "");
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const Row& row = rows_[i];
            if (row.mutants == 0) continue;
            const auto percent = [&row](std::uint64_t n) {
                return 100.0 * static_cast<double>(n) / static_cast<double>(row.mutants);
            };
            std::printf("%-14s %8lu %7.1f%% %7.1f%% %8lu %8lu %10lu %10lu %8lu", kDamages[i].data(), row.mutants,
                        percent(row.refused), percent(row.named), row.excused, row.unnamed, row.hits, row.misses,
                        row.wrong_bytes);
            if (arguments_.writes) std::printf(" %7lu %5.1f%%", row.crashes, percent(row.crashes));
            std::printf("\n");
        }
        std::printf("slowest: mutant %lu, %.1f ms\n", slowest_, static_cast<double>(slowest_ns_) / 1e6);
    }
    void add(const Scribbled& scribbled) {
        failures_.r3 += scribbled.wrong_bytes.size();
        failures_.r6 += scribbled.broken.size();
        for (const auto* const all : {&scribbled.wrong_bytes, &scribbled.broken})
            for (const std::string& failure : *all)
                std::printf(
                    "scribbling: %s\n  again: build/release/tests/larder_damage --mutants 0 --seed %lu "
                    "--scribble %lu\n",
                    failure.c_str(), arguments_.seed, arguments_.scribble_seconds);
    }
    const Failures& failures() const { return failures_; }
    std::uint64_t mutants() const { return sum(&Row::mutants); }
    std::uint64_t write_crashes() const { return sum(&Row::crashes); }

private:
    std::uint64_t sum(std::uint64_t Row::*figure) const {
        return std::accumulate(rows_.begin(), rows_.end(), std::uint64_t{0},
                               [figure](std::uint64_t so_far, const Row& row) { return so_far + row.*figure; });
    }
    bool names_something(const Trial& trial) const {
        for (const std::string& finding : words_of(trial.outcome->findings))
            if (!healthy_[trial.mutant.specimen].findings.contains(finding)) return true;
        return false;
    }
    /// It costs somebody something, and the doctor does not name it.
    bool costs_unnamed(const Trial& trial) const {
        const Outcome& outcome = *trial.outcome;
        const bool costs = outcome.refused != 0 || outcome.wrong_bytes != 0 ||
                           (healthy_[trial.mutant.specimen].kept & ~outcome.kept).any();
        return costs && !names_something(trial);
    }
    void count(Ending ending) {
        failures_.r3 += ending == Ending::wrong ? 1 : 0;
        failures_.r6 += ending == Ending::crashed || ending == Ending::hung ? 1 : 0;
    }

    void tell(const Trial& trial, const char* if_well = "well") const {
        if (failures_.all() > 20) return;
        const char* const endings[] = {if_well, "WRONG", "CRASHED", "HUNG"};
        std::printf("mutant %lu: %s", trial.mutant.number, endings[static_cast<std::size_t>(trial.ending)]);
        if (trial.signal != 0) std::printf(" (signal %d)", trial.signal);
        std::printf(" while %s; %s\n  damaged: %s\n  doctor: %s\n",
                    kStages[static_cast<std::size_t>(trial.outcome->stage.load())].data(), trial.outcome->failure,
                    trial.mutant.describe(specimens_[trial.mutant.specimen]).c_str(), trial.outcome->findings);
        std::printf("  again: build/release/tests/larder_damage --seed %lu --only %lu%s\n", arguments_.seed,
                    trial.mutant.number, arguments_.writes ? " --writes" : "");
        std::fflush(stdout);
    }

    const std::vector<Specimen>& specimens_;
    const Arguments& arguments_;
    std::vector<Healthy> healthy_;
    std::array<Row, kDamages.size()> rows_{};
    std::vector<std::uint64_t> unnamed_;
    Failures failures_;
    std::uint64_t slowest_ = 0;
    std::int64_t slowest_ns_ = 0;
};

void promise(const Arguments& arguments, const char* name, std::uint64_t violations, std::uint64_t samples) {
    if (arguments.promises.empty()) return;
    Promise one{name, "violations", {"==", 0}, static_cast<double>(violations), samples};
    one.rounds = {one.measured};
    one.command = "build/release/tests/larder_damage --mutants " + std::to_string(arguments.mutants) + " --seed " +
                  std::to_string(arguments.seed) + " --seconds " + std::to_string(arguments.seconds) + " --scribble " +
                  std::to_string(arguments.scribble_seconds);
    append_promise(arguments.promises, one);
}

/// What was tried, and what came of it. Fewer than a tenth of what was asked for is no trial.
int conclude(const Arguments& arguments, const Report& report) {
    const std::uint64_t asked = arguments.only < 0 ? arguments.mutants : 1;
    std::printf("%lu mutants\n", report.mutants());
    if (report.mutants() < asked)
        std::printf("cut short after %lu of %lu mutants by --seconds\n", report.mutants(), asked);
    const Failures& failures = report.failures();
    if (failures.all() != 0)
        return std::printf(
                   "FAILED: %lu times wrong bytes (R3), %lu crashes, hangs or costs without a name (R6), %lu "
                   "that prove nothing\n",
                   failures.r3, failures.r6, failures.no_proof),
               1;
    if (report.mutants() * 10 < asked) return std::printf("FAILED: too few of them\n"), 1;
    if (report.mutants() == 0 && arguments.scribble_seconds == 0) return std::printf("FAILED: nothing was tried\n"), 1;
    if (arguments.writes)
        std::printf("%lu writers crashed; no reader did, nor hung, nor was told another key's bytes\n",
                    report.write_crashes());
    else
        std::printf("nobody crashed, hung, or was told another key's bytes; the doctor named what that cost\n");
    return 0;
}

/// Those that are asked for, as long as there is time.
Mutants chosen(const std::vector<Specimen>& specimens, const Arguments& arguments) {
    const bool all = arguments.only < 0;
    const std::uint64_t first = all ? 0 : static_cast<std::uint64_t>(arguments.only);
    const std::uint64_t last = all ? arguments.mutants : first + 1;
    const std::int64_t until_ns =
        shm::system::monotonic_ns() + static_cast<std::int64_t>(arguments.seconds) * 1'000'000'000;
    return [&specimens, seed = arguments.seed, next = first, last, until_ns]() mutable -> std::optional<Mutant> {
        if (next >= last || shm::system::monotonic_ns() >= until_ns) return std::nullopt;
        return make_mutant(specimens, seed, next++);
    };
}

int run(const Arguments& arguments) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    const std::vector<Specimen> specimens = make_specimens();
    Report report(specimens, arguments);
    report.judge_specimens();
    run_trials(specimens, chosen(specimens, arguments), {1'000, arguments.writes},
               [&report](const Trial& trial) { report.add(trial); });
    report.judge_unnamed();
    report.judge_kinds();
    report.print();
    if (arguments.only < 0 && !arguments.writes) {
        report.add(scribble(specimens, arguments.seed, arguments.scribble_seconds));
        promise(arguments, "R3", report.failures().r3, report.mutants());
        promise(arguments, "R6", report.failures().r6, report.mutants());
    }
    return conclude(arguments, report);
}

}  // namespace
}  // namespace larder::damage

int main(int argc, char** argv) try {
    CLI::App program("Attaches and reads damaged segments, and segments over which a peer scribbles");
    larder::damage::Arguments arguments;
    program.add_option("--mutants", arguments.mutants, "How many")->capture_default_str();
    program.add_option("--seed", arguments.seed, "Of all random choices")->capture_default_str();
    program.add_option("--only", arguments.only, "Just this mutant, and all that is known of it");
    program.add_option("--seconds", arguments.seconds, "No mutant is begun later")->capture_default_str();
    program.add_option("--scribble", arguments.scribble_seconds, "Seconds of scribbling")->capture_default_str();
    program.add_option("--promises", arguments.promises, "Append the figures to this file");
    program.add_flag("--writes", arguments.writes, "Puts too: crashes of writers are counted, not failures");
    CLI11_PARSE(program, argc, argv);
    return larder::damage::run(arguments);
} catch (const std::exception& error) {
    std::printf("FAILED: %s\n", error.what());
    return 1;
}
