#include "tools/hot_keys.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "shm/elapsed.hpp"
#include "shm/fences.hpp"

namespace larder::tools {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr auto kNames = static_cast<std::uint32_t>(PrefixHeat::Kind::named);  // numbers below it are kinds

constexpr std::uint32_t number_of_kind(PrefixHeat::Kind kind) { return static_cast<std::uint32_t>(kind); }

bool begins_with(std::string_view text, std::string_view beginning) {
    return text.substr(0, beginning.size()) == beginning;
}

double seconds_between(std::int64_t from_ns, std::int64_t to_ns) {
    return static_cast<double>(std::max<std::int64_t>(to_ns - from_ns, kNsPerMs)) / 1e9;
}

/// What the cache has of the key now.
void describe(const shm::SegmentView& view, KeyHeat& key, std::int64_t now_ns) {
    auto entry = shm::find_hashed(view, key.hash, now_ns);
    key.state = entry ? std::optional(entry->state) : std::nullopt;
    if (!entry) return;
    key.text = std::move(entry->key);
    key.value_bytes = entry->value_bytes;
    key.lifetime_ms = shm::elapsed_ns(entry->created_ns, entry->expires_ns) / kNsPerMs;
    key.ttl_ms = shm::elapsed_ns(now_ns, entry->expires_ns) / kNsPerMs;
    key.age_ms = std::max<std::int64_t>(0, shm::elapsed_ns(entry->created_ns, now_ns)) / kNsPerMs;
}

}  // namespace

HotKeys::HotKeys(const shm::SegmentView& view)
    : view_(view),
      table_(view),
      seen_(table_.size()),
      chunks_((table_.size() + kSlice - 1) / kSlice),
      prefixes_(kNames) {}

void HotKeys::look(std::int64_t now_ns) {
    if (chunks_.empty()) return;
    std::vector<Candidate> candidates;
    const std::uint64_t slices = chunks_.front().at_ns == 0 ? std::min<std::uint64_t>(kFirstSlices, chunks_.size()) : 1;
    count_followed(now_ns);
    for (std::uint64_t n = 0; n < slices; ++n) walk_slice(now_ns, candidates);
    choose(std::move(candidates), now_ns);
}

void HotKeys::follow_only(const std::string& beginning) {
    beginning_ = beginning;
    followed_.erase(std::remove_if(followed_.begin(), followed_.end(),
                                   [&](const Followed& key) { return !begins_with(key.heat.text, beginning_); }),
                    followed_.end());
}

/// The rates of these keys since the look before. An entry that was given to another key is let go.
void HotKeys::count_followed(std::int64_t now_ns) {
    followed_.erase(std::remove_if(followed_.begin(), followed_.end(),
                                   [this](const Followed& key) { return table_.hash_at(key.index) != key.heat.hash; }),
                    followed_.end());
    for (Followed& key : followed_) {
        const shm::KeyTable::Sums sums = table_.sums(key.index);
        const double seconds = seconds_between(key.at_ns, now_ns);
        key.heat.hits = static_cast<double>(sums.hits - key.hits) / seconds;
        key.heat.misses = static_cast<double>(sums.misses - key.misses) / seconds;
        key.hits = sums.hits;
        key.misses = sums.misses;
        key.at_ns = now_ns;
        describe(view_, key.heat, now_ns);
    }
}

void HotKeys::walk_slice(std::int64_t now_ns, std::vector<Candidate>& candidates) {
    Chunk& chunk = chunks_[next_chunk_];
    const double seconds = chunk.at_ns == 0 ? 0 : seconds_between(chunk.at_ns, now_ns);
    const std::uint64_t begin = next_chunk_ * kSlice, end = std::min(begin + kSlice, table_.size());
    Sums sums;
    for (std::uint64_t index = begin; index < end; ++index)
        if (const std::uint64_t hash = table_.hash_at(static_cast<std::uint32_t>(index)); hash != 0)
            look_at(static_cast<std::uint32_t>(index), hash, now_ns, seconds, sums, candidates);
    chunk.sums.clear();
    for (const auto& [number, sum] : sums) chunk.sums.push_back(sum);
    chunk.at_ns = now_ns;
    next_chunk_ = (next_chunk_ + 1) % chunks_.size();
}

/// One entry of the slice; `seconds` 0: nothing is known of what it held before.
void HotKeys::look_at(std::uint32_t index, std::uint64_t hash, std::int64_t now_ns, double seconds, Sums& sums,
                      std::vector<Candidate>& candidates) {
    const shm::KeyTable::Sums counted = table_.sums(index);
    const auto hits = static_cast<std::uint32_t>(counted.hits), misses = static_cast<std::uint32_t>(counted.misses);
    Seen& seen = seen_[index];
    const std::uint32_t mark = static_cast<std::uint32_t>(hash) | 1;
    // Counts go on when the entry is given to another key: what is new is that key's, since the one before had none in
    // 24 hours.
    const std::uint32_t new_hits = hits - seen.hits, new_misses = misses - seen.misses;
    seen = {mark, hits, misses, seen.hash == mark ? seen.prefix : 0};
    if (seconds == 0) return candidates.push_back({index, hash, counted.hits + counted.misses, 0, 0, 0});
    if (new_hits == 0 && new_misses == 0) return;
    const std::uint32_t prefix = prefix_of(index, hash, now_ns);
    PrefixSum& sum = sums[prefix];
    sum.prefix = prefix;
    sum.hits += new_hits / seconds;
    sum.misses += new_misses / seconds;
    ++sum.keys;
    candidates.push_back({index, hash, 0, new_hits / seconds, new_misses / seconds, 0});
}

/// Known from before, or read from the key's entry, where it has one now.
std::uint32_t HotKeys::prefix_of(std::uint32_t index, std::uint64_t hash, std::int64_t now_ns) {
    Seen& seen = seen_[index];
    if (seen.prefix == number_of_kind(PrefixHeat::Kind::absent))
        if (const auto entry = shm::find_hashed(view_, hash, now_ns)) seen.prefix = number_of(entry->key);
    return seen.prefix;
}

std::uint32_t HotKeys::number_of(std::string_view key) {
    const std::string_view prefix = shm::namespace_of(key);
    if (prefix.size() == key.size()) return number_of_kind(PrefixHeat::Kind::plain);
    if (const auto at = numbers_.find(prefix); at != numbers_.end()) return at->second;
    if (numbers_.size() == kMostPrefixes) return number_of_kind(PrefixHeat::Kind::other);
    const auto number = static_cast<std::uint32_t>(prefixes_.size());
    numbers_.emplace(prefix, number);
    prefixes_.emplace_back(prefix);
    return number;
}

/// Whether keys under that prefix can be among those that follow_only() asked for.
bool HotKeys::may_match(std::uint32_t prefix) const {
    if (beginning_.empty() || prefix < kNames) return true;
    const std::string whole = prefixes_[prefix] + ":";
    return begins_with(whole, beginning_) || begins_with(beginning_, whole);
}

void HotKeys::choose(std::vector<Candidate> candidates, std::int64_t now_ns) {
    std::unordered_set<std::uint32_t> followed;
    for (const Followed& key : followed_) followed.insert(key.index);
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(),
                                    [&](const Candidate& key) {
                                        return followed.count(key.index) != 0 || !may_match(seen_[key.index].prefix);
                                    }),
                     candidates.end());
    for (std::size_t place = 0; place < followed_.size(); ++place) {
        const Followed& key = followed_[place];
        candidates.push_back(
            {key.index, key.heat.hash, key.hits + key.misses, key.heat.hits, key.heat.misses, place + 1});
    }
    followed_ = accept(candidates, now_ns);
}

/// The hottest by lookups, and of the others those with most misses.
std::vector<HotKeys::Followed> HotKeys::accept(std::vector<Candidate>& candidates, std::int64_t now_ns) {
    std::vector<Followed> accepted;
    std::size_t tries = 0;
    const auto take = [&](std::size_t most) {
        auto at = candidates.begin();
        for (; at != candidates.end() && accepted.size() < most && tries < kMostTries; ++at) {
            if (at->followed != 0) {
                accepted.push_back(std::move(followed_[at->followed - 1]));
                continue;
            }
            ++tries;
            if (auto key = follow(*at, now_ns)) accepted.push_back(std::move(*key));
        }
        candidates.erase(candidates.begin(), at);
    };
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        const double hot_a = a.hits + a.misses, hot_b = b.hits + b.misses;
        return hot_a != hot_b ? hot_a > hot_b : a.ever > b.ever;
    });
    take(kFollowed - kFollowedForMisses);
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.misses > b.misses; });
    take(kFollowed);
    return accepted;
}

/// Nothing: it is not one of those that are asked for.
std::optional<HotKeys::Followed> HotKeys::follow(const Candidate& candidate, std::int64_t now_ns) {
    Followed key;
    key.heat.hash = candidate.hash;
    describe(view_, key.heat, now_ns);
    if (!begins_with(key.heat.text, beginning_)) return std::nullopt;
    const shm::KeyTable::Sums sums = table_.sums(candidate.index);
    key.index = candidate.index;
    key.hits = sums.hits;
    key.misses = sums.misses;
    key.at_ns = now_ns;
    key.heat.hits = candidate.hits;
    key.heat.misses = candidate.misses;
    return key;
}

std::vector<KeyHeat> HotKeys::keys() const {
    std::vector<KeyHeat> keys;
    for (const Followed& key : followed_) keys.push_back(key.heat);
    return keys;
}

std::vector<PrefixHeat> HotKeys::prefixes() const {
    std::vector<PrefixHeat> all(prefixes_.size());
    for (const Chunk& chunk : chunks_)
        for (const PrefixSum& sum : chunk.sums) {
            all[sum.prefix].hits += sum.hits;
            all[sum.prefix].misses += sum.misses;
            all[sum.prefix].keys += sum.keys;
        }
    for (std::uint32_t number = 0; number < all.size(); ++number) {
        all[number].kind = static_cast<PrefixHeat::Kind>(std::min(number, kNames));
        all[number].text = prefixes_[number];
    }
    all.erase(std::remove_if(all.begin(), all.end(), [](const PrefixHeat& prefix) { return prefix.keys == 0; }),
              all.end());
    return all;
}

}  // namespace larder::tools
