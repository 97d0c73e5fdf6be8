#include "bench/rounds.hpp"

#include <algorithm>
#include <utility>

namespace larder::bench {

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

std::size_t Rounds::add(Measure measure) {
    contenders_.push_back(std::move(measure));
    results_.emplace_back();
    return contenders_.size() - 1;
}

void Rounds::run(std::size_t rounds) {
    for (const Measure& warm_up : contenders_) warm_up();
    for (std::size_t round = 0; round < rounds; ++round)
        for (std::size_t n = 0; n < contenders_.size(); ++n) {
            const std::size_t place = round % 2 == 0 ? n : contenders_.size() - 1 - n;
            results_[place].push_back(contenders_[place]());
        }
}

std::vector<double> Rounds::ratios(std::size_t above, std::size_t below) const {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < rounds(); ++round)
        ratios.push_back(results_[above][round] / results_[below][round]);
    return ratios;
}

}  // namespace larder::bench
