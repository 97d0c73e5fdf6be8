// Contenders measured in turn, round after round, so that whatever else the machine does hits all of them alike. Every
// other round goes through them backwards. What counts is the median over the rounds of a ratio within one round.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace larder::bench {

/// Of values that are given up in any order. REQUIRES: at least one.
double median(std::vector<double> values);

class Rounds {
public:
    using Measure = std::function<double()>;  // nanoseconds per operation, or whatever is compared

    /// Returns the contender's place.
    std::size_t add(Measure measure);
    /// One more round that does not count, then so many that do.
    void run(std::size_t rounds);

    std::size_t rounds() const { return results_.empty() ? 0 : results_.front().size(); }
    double median_of(std::size_t place) const { return median(results_[place]); }
    /// Within each round.
    std::vector<double> ratios(std::size_t above, std::size_t below) const;
    double ratio(std::size_t above, std::size_t below) const { return median(ratios(above, below)); }
    const std::vector<double>& of(std::size_t place) const { return results_[place]; }

private:
    std::vector<Measure> contenders_;
    std::vector<std::vector<double>> results_;  // by place, then round
};

}  // namespace larder::bench
