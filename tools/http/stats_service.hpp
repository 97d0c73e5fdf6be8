// StatsService: the endpoints of an assignment, answered from its statistics cache.
#pragma once

#include <optional>

#include "core/assignment_stats_cache.hpp"
#include "tools/http/service.hpp"

namespace larder::tools {

class StatsService final : public Service {
public:
    /// `stats` outlives the service.
    explicit StatsService(AssignmentStatsCache& stats) : stats_(stats) {}

    std::optional<Answer> answer_at_once(const Call& call) override;
    Answer answer(const Call& call) override;
    void refresh(const Call& call) noexcept override;

private:
    Answer hit_rate(AssignmentId id) const;
    AssignmentStatsCache& stats_;
};

}  // namespace larder::tools
