// Random numbers that are the same with every standard library, and Zipf's distribution.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace larder::bench::sim {

class Random {
public:
    explicit Random(std::uint64_t seed) : bits_(seed) {}

    /// In [0, 1).
    double unit() { return static_cast<double>(bits_() >> 11) * 0x1.0p-53; }
    std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(unit() * limit); }
    /// The time to the next event of a Poisson process. REQUIRES: per_second > 0.
    double gap_s(double per_second) { return -std::log1p(-unit()) / per_second; }
    double exponential(double mean) { return -std::log1p(-unit()) * mean; }

private:
    std::mt19937_64 bits_;
};

class Zipf {
public:
    /// Ranks are dealt to the numbers at random: the popular ones of two of these have nothing in common but chance.
    Zipf(std::uint32_t count, double exponent, Random& random) : share_(count) {
        double sum = 0;
        for (std::uint32_t rank = 0; rank < count; ++rank) sum += share_[rank] = std::pow(rank + 1, -exponent);
        for (double& share : share_) share /= sum;
        for (std::uint32_t n = count; n > 1; --n) std::swap(share_[n - 1], share_[random.below(n)]);
        up_to_.reserve(count);
        for (const double share : share_) up_to_.push_back((up_to_.empty() ? 0 : up_to_.back()) + share);
    }
    std::uint32_t operator()(Random& random) const {
        const auto at = std::upper_bound(up_to_.begin(), up_to_.end() - 1, random.unit() * up_to_.back());
        return static_cast<std::uint32_t>(at - up_to_.begin());
    }
    double share(std::uint32_t number) const { return share_[number]; }

private:
    std::vector<double> share_, up_to_;
};

}  // namespace larder::bench::sim
