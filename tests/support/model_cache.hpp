// What the cache promises, as plainly as it can be said: a map, a list in order of use, and the last notice of each
// name.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shm/cache.hpp"

namespace larder::test {

/// One caller at a time. Without a limit it knows all notices; with one, no key may be overtaken but by erase (what is
/// overtaken takes room until a writer's sweep finds it, which the model does not follow).
class ModelCache {
public:
    struct Counts {
        std::uint64_t hits = 0, stale_hits = 0, cold = 0, expired = 0, evicted = 0, invalidated = 0;
        /// Misses of what is expired and overtaken: the reason is whichever a writer noticed first.
        std::uint64_t expired_or_invalidated = 0;
        std::uint64_t untracked = 0;  // misses of keys that were never put nor computed
        std::uint64_t puts = 0, evictions = 0, fenced_fills = 0, older_puts = 0, too_large = 0, invalidations = 0;
    };
    struct Found {
        State state = State::none;
        std::string value;
    };

    explicit ModelCache(std::uint64_t max_entries, std::int64_t ttl_ms = 300'000, std::int64_t negative_ttl_ms = 30'000)
        : max_entries_(max_entries), ttl_ms_(ttl_ms), negative_ttl_ms_(negative_ttl_ms) {}

    Found get(const std::string& key) {
        const Found found = peek(key);
        if (found.state == State::none) {
            count_miss(key);
            return found;
        }
        ++counts.hits;
        if (found.state == State::stale) ++counts.stale_hits;
        use(key);
        return found;
    }

    Found peek(const std::string& key) const {
        const auto at = entries_.find(key);
        if (at == entries_.end() || !is_living(key, at->second)) return {};
        const Entry& entry = at->second;
        if (entry.negative) return {State::negative, entry.value};
        return {now_ns >= entry.soft_expires_ns ? State::stale : State::live, entry.value};
    }

    PutResult put(const std::string& key, const std::string& value, const EntryOptions& options, std::uint64_t as_of) {
        if (value.empty() && !options.negative) return PutResult::bad_value;
        if (options.tags.size() > 16) {
            ++counts.too_large;
            keys_[key] = ++notice_;
            return PutResult::too_large;
        }
        const auto at = entries_.find(key);
        if (at != entries_.end() && is_living(key, at->second) && at->second.as_of > as_of) {
            ++counts.older_puts;
            return PutResult::older;
        }
        if (highest_fence(key, options.tags) > as_of) {
            ++counts.fenced_fills;
            keys_[key] = std::max(keys_[key], as_of + 1);
            return PutResult::fenced;
        }
        make_room(key);
        ++counts.puts;
        entries_[key] = {value, options.negative, expiry(options), soft_expiry(options), options.tags, as_of};
        use(key);
        return PutResult::stored;
    }

    /// get_or_compute, whose computation gives `value`; nullopt: there is none.
    Found compute(const std::string& key, const std::optional<std::string>& value, EntryOptions options) {
        const Found found = peek(key);
        if (found.state == State::live || found.state == State::negative) return get(key);
        leased_.insert(key);
        if (found.state == State::stale)
            ++counts.expired;
        else
            count_miss(key);
        if (!value) {
            options.negative = true;
            options.ttl = options.negative_ttl;
            options.soft_ttl = std::chrono::milliseconds(0);
        }
        put(key, value.value_or(""), options, notice_);
        return {value ? State::live : State::negative, value.value_or("")};
    }

    bool touch(const std::string& key, std::chrono::milliseconds ttl) {
        const Found found = peek(key);
        if (found.state == State::none) return false;
        const Entry& entry = entries_[key];
        EntryOptions options;
        options.ttl = ttl;
        options.negative = entry.negative;
        options.tags = entry.tags;
        const auto soft_expires = entry.soft_expires_ns;
        const bool touched = put(key, found.value, options, entry.as_of) == PutResult::stored;
        if (touched) --counts.puts;  // not a put of its own
        if (touched) entries_[key].soft_expires_ns = soft_expires;
        return touched;
    }

    bool erase(const std::string& key) {
        const bool was_there = peek(key).state != State::none;
        invalidate({key});
        if (was_there) remove(key, Fate::invalidated);
        return was_there;
    }

    void invalidate(const std::vector<std::string>& keys) {
        ++notice_;
        for (const std::string& key : keys) keys_[key] = notice_;
        counts.invalidations += keys.size();
    }
    void invalidate_tag(const std::string& tag) { tags_[tag] = announced(); }
    void invalidate_namespace(const std::string& name) { namespaces_[name] = announced(); }
    void invalidate_all() { everything_ = announced(); }
    std::uint64_t notice() const { return notice_; }

    std::int64_t now_ns = 0;
    Counts counts;

private:
    static constexpr std::int64_t kMillisecond = 1'000'000;
    enum class Fate { never, evicted, invalidated };
    struct Entry {
        std::string value;
        bool negative = false;
        std::int64_t expires_ns = 0, soft_expires_ns = 0;
        std::vector<std::string> tags;
        std::uint64_t as_of = 0;
    };

    static std::uint64_t look(const std::map<std::string, std::uint64_t>& fences, const std::string& name) {
        const auto at = fences.find(name);
        return at == fences.end() ? 0 : at->second;
    }
    std::uint64_t announced() {
        ++counts.invalidations;
        return ++notice_;
    }
    std::uint64_t highest_fence(const std::string& key, const std::vector<std::string>& tags) const {
        std::uint64_t highest = std::max(everything_, look(keys_, key));
        highest = std::max(highest, look(namespaces_, key.substr(0, key.find(':'))));
        for (const std::string& tag : tags) highest = std::max(highest, look(tags_, tag));
        return highest;
    }
    bool is_expired(const Entry& entry) const { return now_ns >= entry.expires_ns; }
    bool is_overtaken(const std::string& key, const Entry& entry) const {
        return highest_fence(key, entry.tags) > entry.as_of;
    }
    bool is_living(const std::string& key, const Entry& entry) const {
        return !is_expired(entry) && !is_overtaken(key, entry);
    }

    std::int64_t expiry(const EntryOptions& options) const {
        std::int64_t ttl_ms = options.ttl.count();
        if (ttl_ms == 0) ttl_ms = options.negative ? negative_ttl_ms_ : ttl_ms_;
        return now_ns + ttl_ms * kMillisecond;
    }
    std::int64_t soft_expiry(const EntryOptions& options) const {
        if (options.soft_ttl.count() == 0) return std::numeric_limits<std::int64_t>::max();
        return now_ns + options.soft_ttl.count() * kMillisecond;
    }

    /// The dead make room first, whichever they are; then the least recently used.
    void make_room(const std::string& key) {
        const auto there = entries_.find(key);
        if (max_entries_ == 0 || (there != entries_.end() && !is_expired(there->second))) return;
        std::uint64_t living = 0;
        for (const auto& [name, entry] : entries_) living += is_expired(entry) ? 0 : 1;
        if (living < max_entries_) return;
        for (const std::string& oldest : by_use_) {
            if (is_expired(entries_[oldest])) continue;
            ++counts.evictions;
            return remove(oldest, Fate::evicted);
        }
    }
    void remove(const std::string key, Fate fate) {
        fates_[key] = fate;
        entries_.erase(key);
        by_use_.remove(key);
    }
    void use(const std::string& key) {
        by_use_.remove(key);
        by_use_.push_back(key);
    }

    void count_miss(const std::string& key) {
        const auto at = entries_.find(key);
        if (at == entries_.end()) {
            const auto fate = fates_.find(key);
            if (fate == fates_.end()) {
                ++counts.cold;
                counts.untracked += leased_.count(key) == 0 ? 1 : 0;
            } else if (fate->second == Fate::evicted)
                ++counts.evicted;
            else
                ++counts.invalidated;
            return;
        }
        const bool overtaken = is_overtaken(key, at->second);
        if (overtaken && is_expired(at->second))
            ++counts.expired_or_invalidated;
        else if (overtaken)
            ++counts.invalidated;
        else
            ++counts.expired;
    }

    const std::uint64_t max_entries_;
    const std::int64_t ttl_ms_, negative_ttl_ms_;
    std::map<std::string, Entry> entries_;  // the expired and overtaken too, until they are put again
    std::list<std::string> by_use_;         // the least recently used first
    std::map<std::string, Fate> fates_;
    std::set<std::string> leased_;
    std::map<std::string, std::uint64_t> keys_, tags_, namespaces_;
    std::uint64_t everything_ = 0, notice_ = 0;
};

}  // namespace larder::test
