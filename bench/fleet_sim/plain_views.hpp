// PlainViews: every view is an event. What ThinnedViews is checked against.
#pragma once

#include <vector>

#include "bench/fleet_sim/views.hpp"

namespace larder::bench::sim {

class PlainViews final : public Views {
public:
    using Views::Views;
    void start(const std::vector<std::vector<Holding>>& cached) override;
    void changed(std::uint32_t) override {}
    void filled(std::uint32_t assignment, const Holding& holding) override;
    double hits() const override { return static_cast<double>(hits_); }
    void begin_measuring() override { hits_ = 0; }

private:
    struct Place {
        Holding holding;
        bool is_filling = false;
    };
    void view(std::uint32_t host);

    std::vector<std::vector<Place>> places_;  // by assignment, then host
    std::uint64_t hits_ = 0;
};

}  // namespace larder::bench::sim
