// Views: who looks at which document when, and which of them find it in their host's cache.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "bench/fleet_sim/changes.hpp"
#include "bench/fleet_sim/event_queue.hpp"
#include "bench/fleet_sim/notices.hpp"
#include "bench/fleet_sim/random.hpp"
#include "bench/fleet_sim/scenario.hpp"

namespace larder::bench::sim {

/// A document in a host's cache, or what is remembered of one that was there.
struct Holding {
    static constexpr float never = -std::numeric_limits<float>::max();
    std::uint32_t host = 0;
    Position seen = 0;  ///< what the host knew before the source was read
    float computed_at_s = never;
};

class Views {
public:
    /// A view found nothing alive. `before`: what was there. The answer is filled() or failed(), later.
    using Miss = std::function<void(std::uint32_t assignment, const Holding& before)>;

    Views(const Scenario& scenario, EventQueue& queue, Random& random, const Changes& changes, const Notices& notices,
          const Zipf& popularity)
        : scenario_(scenario),
          queue_(queue),
          random_(random),
          changes_(changes),
          notices_(notices),
          popularity_(popularity) {}
    virtual ~Views() = default;

    void on_miss(Miss miss) { miss_ = std::move(miss); }
    /// With these documents cached, those of an assignment in a row.
    virtual void start(const std::vector<std::vector<Holding>>& cached) = 0;
    virtual void changed(std::uint32_t assignment) = 0;
    virtual void filled(std::uint32_t assignment, const Holding& holding) = 0;
    void failed(std::uint32_t assignment, std::uint32_t host) { filled(assignment, {.host = host}); }

    /// Views that found a document, since begin_measuring. Those that are not simulated one by one are counted by what
    /// is to be expected.
    virtual double hits() const = 0;
    virtual void begin_measuring() = 0;

protected:
    double rate_of(std::uint32_t assignment) const { return scenario_.views_per_s * popularity_.share(assignment); }
    bool is_expired(const Holding& holding) const { return holding.computed_at_s + scenario_.ttl_s <= queue_.now_s(); }
    /// Expired, or its host knows of a change since.
    bool is_dead(std::uint32_t assignment, const Holding& holding) const {
        return is_expired(holding) || changes_.any_of(assignment, holding.seen, notices_.known(holding.host));
    }

    const Scenario& scenario_;
    EventQueue& queue_;
    Random& random_;
    const Changes& changes_;
    const Notices& notices_;
    const Zipf& popularity_;
    Miss miss_;
};

}  // namespace larder::bench::sim
