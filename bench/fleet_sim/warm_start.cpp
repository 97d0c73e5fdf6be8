#include "bench/fleet_sim/warm_start.hpp"

namespace larder::bench::sim {
namespace {

constexpr int most_lives = 20;

/// When the document was computed that is there at time 0, which lives for `ttl_s` and is computed anew by the first
/// view after; all before `changed_at_s` were overtaken. Holding::never: it is not there.
double computed_at_s(double changed_at_s, double rate, double ttl_s, Random& random) {
    const double life_s = ttl_s + 1 / rate;
    if (changed_at_s < -most_lives * life_s)
        return random.unit() * life_s < ttl_s ? -random.unit() * ttl_s : Holding::never;
    double time_s = changed_at_s;
    for (int life = 0; life < 100 * most_lives; ++life) {
        time_s += random.gap_s(rate);
        if (time_s >= 0) return Holding::never;
        if (time_s + ttl_s > 0) return time_s;
        time_s += ttl_s;
    }
    return Holding::never;
}

}  // namespace

WarmStart::WarmStart(const Scenario& scenario, Random& random, const Zipf& views, const Zipf& changes)
    : cached(scenario.assignments), documents(scenario.assignments, Holding::never) {
    for (std::uint32_t number = 0; number < scenario.assignments; ++number) {
        const double rate = scenario.views_per_s * views.share(number);
        const double changes_per_s = scenario.changes_per_s * changes.share(number);
        const double changed_at_s = changes_per_s > 0 ? -random.gap_s(changes_per_s) : Holding::never;
        if (!scenario.has_second_tier) {
            for (std::uint32_t host = 0; host < scenario.hosts; ++host)
                if (const double at_s = computed_at_s(changed_at_s, rate, scenario.ttl_s, random);
                    at_s <= 0 && at_s > Holding::never)
                    cached[number].push_back({host, 0, static_cast<float>(at_s)});
            continue;
        }
        const double at_s = computed_at_s(changed_at_s, rate * scenario.hosts, scenario.ttl_s, random);
        documents[number] = static_cast<float>(at_s);
        for (std::uint32_t host = 0; host < scenario.hosts; ++host)
            if (at_s > Holding::never && random.gap_s(rate) < -at_s)
                cached[number].push_back({host, 0, static_cast<float>(at_s)});
    }
}

}  // namespace larder::bench::sim
