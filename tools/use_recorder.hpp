// UseRecorder: what is asked of a live cache, seen from outside: by the counts of a sample of its keys, chosen by their
// hash, so that all uses of a key are in or none is (spatial sampling: Waldspurger, Park, Garthwaite, Ahmad, SHARDS
// 2015).
//
// Only loads, on a mapping that may be read-only: whoever uses the cache does nothing for it. Between two polls the
// order of uses is not known; each key's are told together.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/key_table.hpp"
#include "shm/layout.hpp"

namespace larder::tools {

/// So many uses of one key, hits and misses, since the poll before.
struct Uses {
    std::uint64_t key_hash = 0;
    std::uint64_t value_bytes = 0;  ///< as last seen; 0: never seen
    std::uint64_t times = 0;
};

class UseRecorder {
public:
    /// One key in `one_in`, of those that have counters of their own. REQUIRES: one_in > 0. `view` outlives it.
    UseRecorder(const shm::SegmentView& view, std::uint64_t one_in);

    /// Costs a few loads for each sampled key, and for a part of the key table, so that a new key is seen within some
    /// 64 polls; from when it was added its uses are told, too
    /// (where it was given another key's entry: from when it was seen).
    std::vector<Uses> poll(std::int64_t now_ns);

    /// That were seen so far.
    std::uint64_t keys() const { return followed_.size(); }

private:
    struct Followed {
        std::uint32_t index = 0;
        std::uint64_t hash = 0, told = 0, value_bytes = 0;
    };
    void look_for_keys();
    std::uint64_t count(std::uint32_t index) const;
    bool is_sampled(std::uint64_t hash) const;
    void look_at_value(Followed& key, std::int64_t now_ns) const;

    const shm::SegmentView& view_;
    shm::KeyTable keys_;
    std::uint64_t one_in_;
    std::vector<Followed> followed_;
    std::vector<bool> is_followed_, was_taken_;  // by index; taken: by any key, when it was last looked at
    std::uint64_t next_ = 0;                     // index to look at for a new key
    bool knows_all_ = false;                     // that were there at first
};

}  // namespace larder::tools
