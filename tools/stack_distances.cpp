#include "tools/stack_distances.hpp"

#include <algorithm>

namespace larder::tools {
namespace {

constexpr std::size_t kFewestPositions = 1 << 12;

}  // namespace

void StackDistances::Tree::add(std::size_t position, std::uint64_t amount) {
    total_ += amount;
    for (std::size_t at = position + 1; at < sums_.size(); at += at & (~at + 1)) sums_[at] += amount;
}

std::uint64_t StackDistances::Tree::up_to(std::size_t position) const {
    std::uint64_t sum = 0;
    for (std::size_t at = position; at != 0; at &= at - 1) sum += sums_[at];
    return sum;
}

void StackDistances::Tree::reset(std::size_t positions) {
    sums_.assign(positions + 1, 0);
    total_ = 0;
}

std::optional<StackDistances::Distance> StackDistances::use(const std::string& key, std::uint64_t bytes) {
    if (next_ == positions_) make_room();
    const auto [found, is_new] = last_.try_emplace(key);
    Last& last = found->second;
    std::optional<Distance> distance;
    if (!is_new) {
        // The stack from this key upwards is what was used at its position or later.
        distance = Distance{entries_.total() - entries_.up_to(last.position),
                            bytes_.total() - bytes_.up_to(last.position) - last.bytes + bytes};
        entries_.add(last.position, ~std::uint64_t{0});
        bytes_.add(last.position, ~last.bytes + 1);
    }
    last = {next_++, bytes};
    entries_.add(last.position, 1);
    bytes_.add(last.position, bytes);
    return distance;
}

/// Each use takes a position, most of which are empty by now: the others move together, with as many again free.
void StackDistances::make_room() {
    std::vector<Last*> order;
    order.reserve(last_.size());
    for (auto& [key, last] : last_) order.push_back(&last);
    std::sort(order.begin(), order.end(), [](const Last* a, const Last* b) { return a->position < b->position; });
    positions_ = std::max(kFewestPositions, 2 * order.size());
    entries_.reset(positions_);
    bytes_.reset(positions_);
    next_ = 0;
    for (Last* const last : order) {
        last->position = next_++;
        entries_.add(last->position, 1);
        bytes_.add(last->position, last->bytes);
    }
}

}  // namespace larder::tools
