#include "tests/history/checker.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "shm/layout.hpp"

namespace larder::history {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMsNs = 1'000'000;

std::int64_t ns(std::uint32_t ms) { return ms * kMsNs; }

/// Values with the times at which they came; asked for the largest one that had come by then.
class Largest {
public:
    void add(std::int64_t at_ns, std::int64_t value) { steps_.emplace_back(at_ns, value); }
    void seal() {
        std::sort(steps_.begin(), steps_.end());
        for (std::size_t i = 1; i < steps_.size(); ++i)
            steps_[i].second = std::max(steps_[i].second, steps_[i - 1].second);
    }
    /// REQUIRES: sealed.
    std::int64_t by(std::int64_t now_ns, std::int64_t otherwise) const {
        const auto later = std::upper_bound(steps_.begin(), steps_.end(), std::pair(now_ns, kNever));
        return later == steps_.begin() ? otherwise : std::max(otherwise, std::prev(later)->second);
    }

private:
    std::vector<std::pair<std::int64_t, std::int64_t>> steps_;
};

/// What happened to one key.
struct Timeline {
    Largest committed;     // versions, at the commit
    Largest acknowledged;  // versions, at the end of a notice
    Largest notices;       // when an acknowledged one was begun, at its end
    Largest puts;          // when one was begun, at its end
    Largest touched;       // until when a value may live at least, at the touch's beginning
};

std::array<Timeline, kKeys> timelines_of(const History& history) {
    std::array<Timeline, kKeys> keys;
    const auto each = [&history](auto&& use) {
        for (const auto& log : history.logs)
            for (const Operation& one : log) use(one);
    };
    each([&](const Operation& one) {
        Timeline& key = keys[one.key];
        if (one.kind == Kind::change && one.called_ns != 0)
            key.committed.add(one.called_ns, static_cast<std::int64_t>(one.word));
        if (one.kind == Kind::put && one.has_ended()) key.puts.add(one.end_ns, one.begin_ns);
        if (one.kind == Kind::touch)
            key.touched.add(one.begin_ns, one.has_ended() ? one.coarse_end_ns() + ns(one.life.ttl_ms) : kNever);
    });
    for (Timeline& key : keys) key.committed.seal();
    each([&](const Operation& one) {
        if (!is_notice(one.kind) || !one.has_ended() || !one.done) return;
        for (std::uint32_t n = 0; n < kKeys; ++n) {
            if (!names(one.scope, one.key, n)) continue;
            keys[n].acknowledged.add(one.end_ns, keys[n].committed.by(one.called_ns, history.versions_before[n]));
            keys[n].notices.add(one.end_ns, one.called_ns);
        }
    });
    for (Timeline& key : keys)
        for (Largest* const steps : {&key.acknowledged, &key.notices, &key.puts, &key.touched}) steps->seal();
    return keys;
}

class Check {
public:
    Check(const History& history, std::int64_t tick_ns, Judgement& judgement)
        : history_(history), tick_ns_(tick_ns), judgement_(judgement), keys_(timelines_of(history)) {}

    void look_at(std::uint32_t actor, const Operation& lookup) {
        if (lookup.wrong) return found(judgement_.foreign, actor, lookup, "bytes that do not prove themselves");
        if (!lookup.has_value()) return;
        ++judgement_.values;
        judgement_.hits += lookup.source == Source::hit ? 1 : 0;
        const Origin origin = Origin::of(lookup.word);
        if (origin.round != (history_.round & 0xFFF))
            return found(judgement_.overtaken, actor, lookup, text(origin) + ", kept before this round's first notice");
        const Operation* const writer = writer_of(lookup, origin);
        if (writer == nullptr)
            return found(judgement_.foreign, actor, lookup, "a value that nobody wrote: " + text(origin));
        look_at_order(actor, lookup, origin, *writer);
        look_at_time(actor, lookup, origin, *writer);
    }

private:
    const Operation* writer_of(const Operation& lookup, const Origin& origin) const {
        if (origin.actor >= kActors) return nullptr;
        const auto& log = history_.logs[origin.actor];
        if (origin.number >= log.size() || origin.version > history_.versions_after[lookup.key]) return nullptr;
        const Operation& writer = log[origin.number];
        return is_writer(writer.kind) && writer.key == lookup.key ? &writer : nullptr;
    }

    void look_at_order(std::uint32_t actor, const Operation& lookup, const Origin& origin, const Operation& writer) {
        const Timeline& key = keys_[lookup.key];
        const std::int64_t before_ns = lookup.begin_ns - kClockNs;
        const std::int64_t least = key.acknowledged.by(before_ns, history_.versions_before[lookup.key]);
        if (origin.version < least)
            return found(judgement_.overtaken, actor, lookup,
                         text(origin) + " after version " + std::to_string(least) + " was acknowledged");
        if (!writer.has_ended()) return;
        const std::int64_t after_ns = writer.end_ns + kClockNs;
        if (key.notices.by(before_ns, 0) > after_ns)
            return found(judgement_.overtaken, actor, lookup, text(origin) + ", kept before a notice that had ended");
        const std::int64_t look_ns = history_.unlinked ? shm::kLookNs + 2 * tick_ns_ : 0;
        if (key.puts.by(before_ns - look_ns, 0) > after_ns)
            found(judgement_.overtaken, actor, lookup, text(origin) + ", kept before a put that had ended");
    }

    /// Times by the coarse clock: the cache read it after the lookup's beginning and before the writer's end.
    void look_at_time(std::uint32_t actor, const Operation& lookup, const Origin& origin, const Operation& writer) {
        if (!writer.has_ended()) return;
        const std::int64_t now_ns = lookup.coarse_begin_ns();
        const bool stands_in = lookup.kind == Kind::compute && lookup.state == State::stale;
        const std::int64_t touched_ns = is_touched(lookup.key) ? keys_[lookup.key].touched.by(lookup.end_ns, 0) : 0;
        const std::int64_t over_ns = std::max(writer.coarse_end_ns() + ns(writer.life.ttl_ms), touched_ns);
        if (now_ns >= over_ns + (stands_in ? ns(writer.life.stale_if_error_ms) : 0))
            return found(judgement_.over, actor, lookup, text(origin) + ", which was over");
        const bool may_be_stale = writer.life.soft_ttl_ms != 0 || (stands_in && writer.life.stale_if_error_ms != 0);
        if (lookup.state == State::stale && !may_be_stale)
            return found(judgement_.over, actor, lookup, text(origin) + ", stale, which it may not be");
        const bool was_soft = writer.life.soft_ttl_ms != 0 && lookup.source == Source::hit &&
                              now_ns >= writer.coarse_end_ns() + ns(writer.life.soft_ttl_ms);
        if (was_soft && lookup.state == State::live)
            return found(judgement_.over, actor, lookup, text(origin) + " as fresh, which was stale");
        if (touched_ns == 0 && lookup.state != State::stale) measure(lookup, writer);
    }

    void measure(const Operation& lookup, const Operation& writer) {
        const std::int64_t late_ns = lookup.begin_ns - writer.end_ns - ns(writer.life.ttl_ms);
        if (late_ns < -2 * tick_ns_) return;
        ++judgement_.near_death;
        if (lookup.begin_lag_ns > 2 * tick_ns_)
            ++judgement_.clock_stops;
        else
            judgement_.latest_ms = std::max(judgement_.latest_ms, static_cast<double>(late_ns) / kMsNs);
    }

    static std::string text(const Origin& origin) {
        return "version " + std::to_string(origin.version) + " by operation " + std::to_string(origin.number) +
               " of process " + std::to_string(origin.actor) + " in round " + std::to_string(origin.round);
    }

    void found(std::uint64_t& violations, std::uint32_t actor, const Operation& lookup, const std::string& what) {
        ++violations;
        if (!judgement_.first.empty()) return;
        const auto number = &lookup - history_.logs[actor].data();
        judgement_.first = "round " + std::to_string(history_.round) + ", process " + std::to_string(actor) +
                           ", operation " + std::to_string(number) + ": " + name_of(lookup.kind) + " of " +
                           key_of(lookup.key) + " was given " + what;
    }

    const History& history_;
    const std::int64_t tick_ns_;
    Judgement& judgement_;
    const std::array<Timeline, kKeys> keys_;
};

}  // namespace

void judge(const History& history, std::int64_t tick_ns, Judgement& judgement) {
    Check check(history, tick_ns, judgement);
    for (std::uint32_t actor = 0; actor < kActors; ++actor)
        for (const Operation& one : history.logs[actor])
            if (is_lookup(one.kind)) check.look_at(actor, one);
}

}  // namespace larder::history
