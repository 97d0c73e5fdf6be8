// TopSource: looks at a live cache, again and again, whatever becomes of it meanwhile. Only loads, from a read-only
// mapping.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "shm/cache.hpp"
#include "shm/histogram.hpp"
#include "tools/inspection.hpp"
#include "tools/top_snapshot.hpp"

namespace larder::tools {

/// A look costs, whatever the cache's size: HotKeys's slice, all totals (at most 256 processes of 16 threads), the
/// shards' gauges (at most 1,024), 1,024 leases, and what /proc says of each attached process.
class TopSource {
public:
    static constexpr std::size_t kJudgedLooks = 10;  ///< what the verdict is about

    /// Throws as inspect().
    explicit TopSource(const Options& options);
    ~TopSource();

    /// A cache that was removed or replaced is looked for by its name. `service`: judged beside the cache.
    TopSnapshot look(const ServiceState& service = {});
    /// What look() looked at; null: there was no cache. Good until the next look.
    const shm::SegmentView* view() const { return inspection_ == nullptr ? nullptr : &inspection_->view(); }
    /// See HotKeys.
    void follow_only(const std::string& beginning);

private:
    struct Moment {
        Sample sample;
        shm::HistogramSnapshot eviction_ages;
    };
    void attach();
    bool is_gone() const;
    TopSnapshot absent(const std::string& why);
    Evidence evidence_of(const TopSnapshot& snapshot) const;
    void read_processes(TopSnapshot& snapshot, Evidence& evidence, std::int64_t now_ns) const;

    Options options_;
    std::string beginning_;
    std::unique_ptr<Inspection> inspection_;  // null: there is none
    std::unique_ptr<HotKeys> hot_keys_;
    std::deque<Moment> moments_;  // the last ones of this segment
    std::uint64_t incarnation_ = 0;
};

}  // namespace larder::tools
