#include "tools/use_recorder.hpp"

#include <algorithm>

#include "shm/entry_cursor.hpp"
#include "shm/hash.hpp"

namespace larder::tools {
namespace {

constexpr std::uint64_t kPollsForAll = 64;

/// The low bits of a hash choose places in the cache, the high ones shards and tags: hashed anew.
std::uint64_t sampling_hash(std::uint64_t hash) {
    return shm::hash_of({reinterpret_cast<const char*>(&hash), sizeof hash}, 0);
}

}  // namespace

UseRecorder::UseRecorder(const shm::SegmentView& view, std::uint64_t one_in)
    : view_(view), keys_(view), one_in_(one_in), is_followed_(keys_.size()), was_taken_(keys_.size()) {
    while (!knows_all_) look_for_keys();
}

bool UseRecorder::is_sampled(std::uint64_t hash) const { return hash != 0 && sampling_hash(hash) % one_in_ == 0; }

std::uint64_t UseRecorder::count(std::uint32_t index) const {
    const shm::KeyTable::Sums sums = keys_.sums(index);
    return sums.hits + sums.misses;
}

void UseRecorder::look_for_keys() {
    const std::uint64_t end = std::min(next_ + keys_.size() / kPollsForAll + 1, keys_.size());
    for (; next_ < end; ++next_) {
        const auto index = static_cast<std::uint32_t>(next_);
        const std::uint64_t hash = keys_.hash_at(index);
        const bool was_free = knows_all_ && !was_taken_[next_];
        was_taken_[next_] = hash != 0;
        if (is_followed_[next_] || !is_sampled(hash)) continue;
        is_followed_[next_] = true;
        // What was counted before the recording began is no part of it, nor is what the entry's key before had.
        followed_.push_back({index, hash, was_free ? 0 : count(index), 0});
    }
    if (next_ < keys_.size()) return;
    next_ = 0;
    knows_all_ = true;
}

void UseRecorder::look_at_value(Followed& key, std::int64_t now_ns) const {
    if (const auto entry = shm::find_hashed(view_, key.hash, now_ns)) key.value_bytes = entry->value_bytes;
}

std::vector<Uses> UseRecorder::poll(std::int64_t now_ns) {
    look_for_keys();
    std::vector<Uses> uses;
    for (Followed& key : followed_) {
        const std::uint64_t counted = count(key.index), hash = keys_.hash_at(key.index);
        const std::uint64_t times = counted - key.told;
        if (times == 0) continue;
        key.told = counted;
        if (hash != key.hash) {  // the entry was given to another key, sampled or not
            key.hash = hash;
            key.value_bytes = 0;
        }
        if (!is_sampled(hash)) continue;
        look_at_value(key, now_ns);
        uses.push_back({key.hash, key.value_bytes, times});
    }
    return uses;
}

}  // namespace larder::tools
