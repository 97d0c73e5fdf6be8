// S1 to S4: one reader's hits, by everything that could answer them, in turn.
#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "bench/compare/groups.hpp"
#include "bench/lookups.hpp"
#include "bench/peers/peer.hpp"
#include "bench/rounds.hpp"
#include "bench/stage.hpp"

namespace larder::bench {
namespace {

constexpr std::size_t kServerLookups = 1'024;  // of a round: each takes microseconds
constexpr std::size_t kLibraryLookups = 16'384;

/// All contenders under one load.
class Contest {
public:
    Contest(Report& report, std::size_t value_bytes, Distribution distribution)
        : report_(report), value_bytes_(value_bytes), load_(name_of(distribution)), order_(sequence(distribution)) {}

    /// Returns its place. One walk that is not timed, then one that is: the contender before it has left the
    /// processor's caches to itself.
    template <Pace kPace = Pace::sequential, class Lookup>
    std::size_t enter(const std::string& name, Lookup lookup, std::size_t lookups = Sequence::kLength) {
        auto walk = [this, lookup, lookups]() mutable {
            time_walk<kPace>(order_, value_bytes_, lookup, lookups);
            return time_walk<kPace>(order_, value_bytes_, lookup, lookups);
        };
        auto single = [this, lookup](std::size_t n) mutable {
            Marks marks = 0;
            require(lookup(order_[n], marks) == value_bytes_, "a lookup missed, or found a value of another size");
        };
        names_.push_back(name);
        if (kPace == Pace::sequential)
            singles_.push_back([this, single]() mutable { return sample(report_.effort().samples, single); });
        else
            singles_.emplace_back();
        return rounds_.add(walk);
    }

    void run() {
        rounds_.run(report_.effort().rounds);
        for (std::size_t place = 0; place < names_.size(); ++place) {
            Row row{"hit", names_[place], value_bytes_, load_, "ns", rounds_.of(place)};
            if (singles_[place]) row.single = singles_[place]();
            report_.add(row);
        }
    }

    std::string what(const std::string& ratio) const {
        return fmt::format("{}, {}, {}", ratio, bytes_text(value_bytes_), load_);
    }
    const Rounds& rounds() const { return rounds_; }
    double median_of(std::size_t place) const { return rounds_.median_of(place); }

private:
    Report& report_;
    const std::size_t value_bytes_;
    const std::string load_;
    const Sequence& order_;
    Rounds rounds_;
    std::vector<std::string> names_;
    std::vector<std::function<Quantiles()>> singles_;
};

/// The times of `above` as multiples of those of `below`, judged by a bound from above or from below.
struct Compared {
    std::size_t above, below;
    Goal goal;
};

void judge(Report& report, const Contest& contest, const char* promise, const std::string& what, const Compared& of) {
    const std::vector<double> ratios = contest.rounds().ratios(of.above, of.below);
    report.judge(promise, {contest.what(what), "x", of.goal, median(ratios), ratios, ratios.size()});
}

void compare(Report& report, std::size_t value_bytes, Distribution distribution, const Peers& peers) {
    Stage& on = stage(value_bytes);
    const std::vector<char> buffer(value_bytes);
    Contest contest(report, value_bytes, distribution);
    const std::size_t floor = contest.enter("floor", Floor{on.table()});
    const std::size_t pinned = contest.enter("Larder, pinned", PinnedHit{on.cache()});
    contest.enter("Larder, get_or_compute", ComputedHit{on.cache()});
    const std::size_t copied_floor = contest.enter("floor + memcpy", CopiedFloor{on.table(), buffer});
    const std::size_t copied = contest.enter("Larder, copied", CopiedHit{on.cache(), buffer});
    const std::size_t locked = contest.enter("Boost mutex + MultiIndex", LockedHit{on.locked()});
    contest.enter("Boost mutex + MultiIndex, re-used string", LockedHitReusing{on.locked(), {}});
    contest.enter<Pace::overlapping>("floor, overlapping", Floor{on.table()});
    contest.enter<Pace::overlapping>("Larder, pinned, overlapping", PinnedHit{on.cache()});
    std::vector<std::size_t> places;
    for (const auto& peer : peers)
        places.push_back(
            contest.enter(peer->name(), PeerLookup{*peer}, peer->is_server() ? kServerLookups : kLibraryLookups));
    contest.run();

    judge(report, contest, "S1", "pinned hit / floor", {pinned, floor, {"<=", 2.0}});
    if (value_bytes == 8192)
        judge(report, contest, "S2", "copied hit / (floor + memcpy)", {copied, copied_floor, {"<=", 1.15}});
    if (value_bytes == 64) judge(report, contest, "S3", "Boost mutex / pinned", {locked, pinned, {">=", 2.5}});
    if (value_bytes == 8192) judge(report, contest, "S3", "Boost mutex / pinned", {locked, pinned, {">=", 10.0}});
    for (std::size_t n = 0; n < peers.size(); ++n) {
        const std::string what = peers[n]->name() + " / pinned";
        if (peers[n]->copies())
            judge(report, contest, "S4", what, {places[n], pinned, {">=", peers[n]->is_server() ? 100.0 : 4.0}});
        else  // gone with the next lookup or write, which no value of a cache may be: shown, not promised
            report.note(fmt::format("{} {:.2f} x", contest.what(what), contest.rounds().ratio(places[n], pinned)));
    }
    report.note(fmt::format("floor {:.1f} ns, pinned {:.1f}, floor + memcpy {:.1f}, copied {:.1f}, Boost mutex {:.1f}",
                            contest.median_of(floor), contest.median_of(pinned), contest.median_of(copied_floor),
                            contest.median_of(copied), contest.median_of(locked)));
}

}  // namespace

void compare_hits(Report& report) {
    for (const std::size_t value_bytes : {64u, 1024u, 8192u, 65536u}) {
        const Peers peers = make_peers(value_bytes, kKeys, [&](const std::string& text) { report.note(text); });
        for (const auto& peer : peers) {
            report.version(peer->version());
            fill(*peer, value_bytes);
        }
        for (const Distribution distribution : {Distribution::uniform, Distribution::zipf})
            compare(report, value_bytes, distribution, peers);
    }
}

}  // namespace larder::bench
