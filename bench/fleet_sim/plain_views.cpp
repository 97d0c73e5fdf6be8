#include "bench/fleet_sim/plain_views.hpp"

namespace larder::bench::sim {

void PlainViews::start(const std::vector<std::vector<Holding>>& cached) {
    places_.assign(scenario_.assignments, std::vector<Place>(scenario_.hosts));
    for (std::uint32_t number = 0; number < scenario_.assignments; ++number) {
        for (std::uint32_t host = 0; host < scenario_.hosts; ++host) places_[number][host].holding.host = host;
        for (const Holding& holding : cached[number]) places_[number][holding.host].holding = holding;
    }
    for (std::uint32_t host = 0; host < scenario_.hosts; ++host)
        queue_.after(random_.gap_s(scenario_.views_per_s), [this, host] { view(host); });
}

void PlainViews::view(std::uint32_t host) {
    queue_.after(random_.gap_s(scenario_.views_per_s), [this, host] { view(host); });
    const std::uint32_t number = popularity_(random_);
    Place& place = places_[number][host];
    if (place.is_filling) return;
    if (!is_dead(number, place.holding)) {
        ++hits_;
        return;
    }
    place.is_filling = true;
    miss_(number, place.holding);
}

void PlainViews::filled(std::uint32_t number, const Holding& holding) {
    places_[number][holding.host] = {holding, false};
}

}  // namespace larder::bench::sim
