// ExactLru: the definition, to compare with: a list in the order of use, and where each key is in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

namespace larder::bench {

class ExactLru {
public:
    explicit ExactLru(std::size_t capacity) : capacity_(capacity) {}

    /// True: a hit. A miss puts the key in, and drops the one that was not used for longest.
    bool use(std::uint64_t key) {
        const auto found = places_.find(key);
        const bool hit = found != places_.end();
        if (hit) order_.erase(found->second);
        order_.push_front(key);
        places_[key] = order_.begin();
        if (places_.size() > capacity_) {
            places_.erase(order_.back());
            order_.pop_back();
        }
        return hit;
    }

private:
    std::size_t capacity_;
    std::list<std::uint64_t> order_;
    std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

}  // namespace larder::bench
