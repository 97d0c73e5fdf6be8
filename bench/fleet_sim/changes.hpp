// Changes: all commits so far, in the order in which they became visible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace larder::bench::sim {

/// A point in that order: how many commits came before it.
using Position = std::uint32_t;

class Changes {
public:
    explicit Changes(std::uint32_t assignments) : of_assignment_(assignments) {}

    void add(std::uint32_t assignment, double now_s) {
        of_assignment_[assignment].push_back(count());
        committed_at_s_.push_back(now_s);
    }
    Position count() const { return static_cast<Position>(committed_at_s_.size()); }
    double committed_at_s(Position change) const { return committed_at_s_[change]; }

    /// Did one of this assignment come at `from` or later, and before `until`?
    bool any_of(std::uint32_t assignment, Position from, Position until) const {
        const std::vector<Position>& changes = of_assignment_[assignment];
        for (std::size_t n = changes.size(); n-- > 0 && changes[n] >= from;)
            if (changes[n] < until) return true;
        return false;
    }

private:
    std::vector<double> committed_at_s_;
    std::vector<std::vector<Position>> of_assignment_;
};

}  // namespace larder::bench::sim
