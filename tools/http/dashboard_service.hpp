// DashboardService: the page, what it is sent, and the metrics.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/warm_queue.hpp"
#include "shm/cache.hpp"
#include "tools/http/service.hpp"
#include "tools/http/snapshot_feed.hpp"

namespace larder::tools {

class DashboardService final : public Service {
public:
    /// `needs_token`: the page asks for one. `jobs` and `feed` outlive the service.
    DashboardService(Options cache, bool needs_token, WarmQueue& jobs, SnapshotFeed& feed,
                     std::function<bool()> relay_caught_up);

    /// All but the metrics.
    std::optional<Answer> answer_at_once(const Call& call) override;
    Answer answer(const Call& call) override;

private:
    Answer page(const WebFile& file) const;
    Answer events(const Caller& caller);
    Answer metrics();

    const Options options_;
    const std::string index_;  // the page at `/`
    WarmQueue& jobs_;
    SnapshotFeed& feed_;
    const std::function<bool()> relay_caught_up_;
};

}  // namespace larder::tools
