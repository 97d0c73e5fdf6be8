// ThinnedViews: only those views are events that may find nothing alive.
#pragma once

#include <vector>

#include "bench/fleet_sim/views.hpp"

namespace larder::bench::sim {

/// Views of one assignment at one host are a Poisson process, so those at the hosts whose document may be dead are one,
/// too, with as many times the rate; the next of them is at any of these hosts alike, and an earlier one tells nothing
/// of it. The hosts whose document is alive for certain are not looked at. Nothing of this is an approximation.
class ThinnedViews final : public Views {
public:
    using Views::Views;
    void start(const std::vector<std::vector<Holding>>& cached) override;
    void changed(std::uint32_t assignment) override;
    void filled(std::uint32_t assignment, const Holding& holding) override;
    double hits() const override;
    void begin_measuring() override;

private:
    struct Assignment {
        std::vector<Holding> alive;  // those before `expired` are gone; the others by their age
        std::size_t expired = 0;
        std::vector<Holding> doubtful;  // dead, or to be so once a notice is there
        std::uint32_t plan = 0;         // of the next view of a doubtful one
        bool expiry_is_planned = false;
    };
    void keep(std::uint32_t assignment, const Holding& holding);
    void plan_view(std::uint32_t assignment);
    void view(std::uint32_t assignment);
    void plan_expiry(std::uint32_t assignment);
    void expire(std::uint32_t assignment);
    void account(std::uint32_t assignment, int change);

    std::vector<Assignment> assignments_;
    // Views that find no document because one is being made: filling_rate_ is how many come in a second.
    double filling_rate_ = 0, accounted_at_s_ = 0, measured_from_s_ = 0;
    double waits_ = 0;
    std::uint64_t misses_ = 0;
};

}  // namespace larder::bench::sim
