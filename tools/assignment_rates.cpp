#include "tools/assignment_rates.hpp"

#include <algorithm>

#include "core/cache_keys.hpp"
#include "shm/hash.hpp"
#include "shm/key_table.hpp"

namespace larder::tools {
namespace {

AssignmentRate rate_of(const shm::SegmentView& view, AssignmentId id, std::int64_t now_ns) {
    const std::uint64_t hash = shm::hash_of(stats_key(id), view.header().hash_seed);
    const std::uint32_t shard = shm::shard_of(hash, view.geometry->shards);
    const shm::KeyTable table(view);
    const KeyUse use = table.use(hash, shard, now_ns);
    return {id, use.hits, use.misses, use.tracked || !table.is_full_for(hash, shard), hash};
}

}  // namespace

void AssignmentRates::set_ids(std::vector<AssignmentId> ids) {
    const AssignmentId next = next_ == 0 ? 0 : ids_[next_];
    ids_ = std::move(ids);
    next_ = static_cast<std::size_t>(std::lower_bound(ids_.begin(), ids_.end(), next) - ids_.begin());
    if (next_ == ids_.size()) next_ = 0;
    rows_.erase(std::remove_if(rows_.begin(), rows_.end(),
                               [this](const AssignmentRate& row) {
                                   return !std::binary_search(ids_.begin(), ids_.end(), row.id);
                               }),
                rows_.end());
}

void AssignmentRates::look(const shm::SegmentView& view, std::int64_t now_ns) {
    for (AssignmentRate& row : rows_) row = rate_of(view, row.id, now_ns);
    const std::size_t end = std::min(next_ + kSlice, ids_.size());
    for (; next_ < end; ++next_) rows_.push_back(rate_of(view, ids_[next_], now_ns));
    if (next_ == ids_.size()) next_ = 0;
    std::sort(rows_.begin(), rows_.end(), [](const AssignmentRate& a, const AssignmentRate& b) {
        return a.lookups() != b.lookups() ? a.lookups() > b.lookups() : a.id < b.id;
    });
    // One that was shown and walked is there twice; between the two its counts may have grown.
    std::vector<AssignmentRate> shown;
    for (const AssignmentRate& row : rows_) {
        const bool twice =
            std::any_of(shown.begin(), shown.end(), [&](const AssignmentRate& other) { return other.id == row.id; });
        if (!twice) shown.push_back(row);
        if (shown.size() == kShown) break;
    }
    rows_ = std::move(shown);
}

}  // namespace larder::tools
