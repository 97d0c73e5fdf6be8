// HotKeys: which keys of a live cache are asked for most, and under which prefixes, by the counts of its key table.
//
// Only loads, on a mapping that may be read-only: no lock, and whoever uses the cache does nothing for it. A look costs
// at most kSlice entries of the table, whatever its size, and the kFollowed keys that were found hottest, each with a
// look at its record; a larger table is walked in several looks. So the rates of the keys that are shown are those
// since the look before, and those of prefixes are at most as old as one walk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/entry_cursor.hpp"
#include "shm/key_table.hpp"
#include "shm/layout.hpp"

namespace larder::tools {

struct KeyHeat {
    std::uint64_t hash = 0;
    std::string text;             ///< empty: it was not in the cache when it was looked at
    double hits = 0, misses = 0;  ///< a second
    // Of its entry, as of the last look; `state` nullopt: there is none.
    std::optional<shm::EntryState> state;
    std::uint64_t value_bytes = 0;
    std::int64_t lifetime_ms = 0, ttl_ms = 0, age_ms = 0;  ///< TTL when it was stored; what is left of it
    double lookups() const { return hits + misses; }
};

struct PrefixHeat {
    enum class Kind : std::uint8_t {
        absent,
        plain,
        other,
        named
    };  ///< keys not in the cache; without ':'; of too many
    Kind kind = Kind::named;
    std::string text;             ///< of named: what stands before the first ':'
    double hits = 0, misses = 0;  ///< a second
    std::uint64_t keys = 0;       ///< that were asked for
    double lookups() const { return hits + misses; }
};

class HotKeys {
public:
    static constexpr std::uint64_t kSlice = 16'384;   ///< entries of the table that a look goes through
    static constexpr std::uint64_t kFirstSlices = 8;  ///< the first look, since two are needed for a rate
    static constexpr std::size_t kFollowed = 256;
    static constexpr std::size_t kFollowedForMisses = 64;  ///< of these
    static constexpr std::size_t kMostPrefixes = 1'024;
    static constexpr std::size_t kMostTries = 2'048;  ///< records looked at for keys that may be new among the followed

    /// REQUIRES: the segment stays mapped.
    explicit HotKeys(const shm::SegmentView& view);

    /// `now_ns`: of the segment's clock.
    void look(std::int64_t now_ns);
    /// From now on only keys that begin so are among the keys; all prefixes go on.
    void follow_only(const std::string& beginning);

    /// In no order.
    std::vector<KeyHeat> keys() const;
    std::vector<PrefixHeat> prefixes() const;
    /// Looks that a walk takes; 0: there is no key table.
    std::uint64_t looks_of_a_walk() const { return chunks_.size(); }

private:
    /// What an entry of the table held when it was last looked at: low bits, for differences.
    struct Seen {
        std::uint32_t hash = 0, hits = 0, misses = 0, prefix = 0;
    };
    struct Followed {
        std::uint32_t index = 0;
        std::uint64_t hits = 0, misses = 0;  // counted until at_ns
        std::int64_t at_ns = 0;
        KeyHeat heat;
    };
    struct Candidate {
        std::uint32_t index = 0;
        std::uint64_t hash = 0, ever = 0;  // ever: what was counted of it, where no rate is known yet
        double hits = 0, misses = 0;
        std::size_t followed = 0;  // its place, counted from 1; 0: it is not
    };
    struct PrefixSum {
        std::uint32_t prefix = 0;
        double hits = 0, misses = 0;
        std::uint64_t keys = 0;
    };
    struct Chunk {
        std::int64_t at_ns = 0;  // 0: not looked at so far
        std::vector<PrefixSum> sums;
    };
    using Sums = std::map<std::uint32_t, PrefixSum>;

    void count_followed(std::int64_t now_ns);
    void walk_slice(std::int64_t now_ns, std::vector<Candidate>& candidates);
    void look_at(std::uint32_t index, std::uint64_t hash, std::int64_t now_ns, double seconds, Sums& sums,
                 std::vector<Candidate>& candidates);
    void choose(std::vector<Candidate> candidates, std::int64_t now_ns);
    std::vector<Followed> accept(std::vector<Candidate>& candidates, std::int64_t now_ns);
    std::optional<Followed> follow(const Candidate& candidate, std::int64_t now_ns);
    std::uint32_t prefix_of(std::uint32_t index, std::uint64_t hash, std::int64_t now_ns);
    std::uint32_t number_of(std::string_view key);
    bool may_match(std::uint32_t prefix) const;

    shm::SegmentView view_;
    shm::KeyTable table_;
    std::vector<Seen> seen_;  // by index
    std::vector<Chunk> chunks_;
    std::size_t next_chunk_ = 0;
    std::vector<Followed> followed_;
    std::vector<std::string> prefixes_;  // by number; the first ones stand for the kinds without a name
    std::map<std::string, std::uint32_t, std::less<>> numbers_;
    std::string beginning_;
};

}  // namespace larder::tools
